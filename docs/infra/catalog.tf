# The catalog with the volumes, and the external locations, each with its grants.

locals {
  roots = {
    for key, account in local.accounts : key => "abfss://${key}@${account}.dfs.core.windows.net"
  }
}

resource "databricks_storage_credential" "this" {
  name    = var.name
  comment = "Tables and models of the dataset harness"

  azure_managed_identity {
    access_connector_id = azurerm_databricks_access_connector.this.id
  }

  depends_on = [azurerm_role_assignment.connector]
}

resource "databricks_external_location" "this" {
  for_each = local.roots

  name            = "${var.name}_${each.key}"
  url             = "${each.value}/"
  credential_name = databricks_storage_credential.this.name

  depends_on = [azurerm_storage_container.this]
}

resource "databricks_catalog" "this" {
  name         = var.name
  comment      = "Uploads and models of the dataset harness"
  storage_root = "${local.roots.lake}/catalog"

  depends_on = [databricks_external_location.this]
}

resource "databricks_schema" "this" {
  catalog_name = databricks_catalog.this.name
  name         = var.schema
}

resource "databricks_volume" "files" {
  catalog_name = databricks_catalog.this.name
  schema_name  = databricks_schema.this.name
  name         = "files"
  volume_type  = "MANAGED"
  comment      = "Uploads of runs"
}

# Published models are in the second storage account, and a run needs no credential of its own for it.
resource "databricks_volume" "models" {
  catalog_name     = databricks_catalog.this.name
  schema_name      = databricks_schema.this.name
  name             = "models"
  volume_type      = "EXTERNAL"
  storage_location = "${local.roots.models}/models"
  comment          = "Published models"

  depends_on = [databricks_external_location.this]
}

resource "databricks_grant" "catalog" {
  catalog    = databricks_catalog.this.name
  principal  = var.group
  privileges = ["USE_CATALOG"]
}

resource "databricks_grant" "schema" {
  schema     = databricks_schema.this.id
  principal  = var.group
  privileges = ["USE_SCHEMA"]
}

resource "databricks_grant" "volumes" {
  for_each = {
    files  = databricks_volume.files.id
    models = databricks_volume.models.id
  }

  volume     = each.value
  principal  = var.group
  privileges = ["READ_VOLUME", "WRITE_VOLUME"]
}

resource "databricks_grant" "lake" {
  external_location = databricks_external_location.this["lake"].id
  principal         = var.group
  privileges        = ["READ_FILES", "WRITE_FILES"]
}
