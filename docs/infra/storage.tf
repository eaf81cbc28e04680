# The lake and the model store, and the identity with which Unity Catalog reaches them.

locals {
  accounts = {
    lake   = var.lake_account_name
    models = var.models_account_name
  }
}

resource "azurerm_storage_account" "this" {
  for_each = local.accounts

  name                = each.value
  resource_group_name = var.resource_group_name
  location            = var.location

  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = var.replication
  is_hns_enabled           = true

  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  shared_access_key_enabled        = var.shared_key_enabled
  default_to_oauth_authentication  = true
  local_user_enabled               = false

  tags = var.tags
}

resource "azurerm_storage_container" "this" {
  for_each = local.accounts

  name                  = each.key
  storage_account_id    = azurerm_storage_account.this[each.key].id
  container_access_type = "private"
}

resource "azurerm_databricks_access_connector" "this" {
  name                = var.name
  resource_group_name = var.resource_group_name
  location            = var.location

  identity {
    type = "SystemAssigned"
  }

  tags = var.tags
}

resource "azurerm_role_assignment" "connector" {
  for_each = local.accounts

  scope                = azurerm_storage_account.this[each.key].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_databricks_access_connector.this.identity[0].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "contributors" {
  for_each = {
    for pair in setproduct(keys(local.accounts), var.contributors) : "${pair[0]}/${pair[1]}" => pair
  }

  scope                = azurerm_storage_account.this[each.value[0]].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = each.value[1]
}
