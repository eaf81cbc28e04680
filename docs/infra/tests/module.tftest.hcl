# Plans and applies the module with mocked providers: 'terraform init' and 'terraform test', without any account.

mock_provider "azurerm" {
  mock_resource "azurerm_storage_account" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-harness/providers/Microsoft.Storage/storageAccounts/mydatalake"
    }
  }

  mock_resource "azurerm_databricks_access_connector" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-harness/providers/Microsoft.Databricks/accessConnectors/harness"
    }
  }
}

mock_provider "databricks" {}

variables {
  resource_group_name = "rg-harness"
  location            = "westeurope"
  lake_account_name   = "mydatalake"
  models_account_name = "mymodelstore"
  group               = "data-engineers"
  contributors        = ["00000000-0000-0000-0000-000000000001"]
}

run "defaults" {
  command = plan

  assert {
    condition = alltrue([
      for account in azurerm_storage_account.this :
      account.is_hns_enabled && account.min_tls_version == "TLS1_2" && !account.shared_access_key_enabled
      && !account.allow_nested_items_to_be_public
    ])
    error_message = "A storage account is less closed than it should be."
  }

  assert {
    condition     = tolist(jsondecode(databricks_cluster_policy.this.definition).spark_version.values) == var.runtimes
    error_message = "The cluster policy doesn't allow the runtimes."
  }

  assert {
    condition     = length(azurerm_role_assignment.contributors) == 2
    error_message = "A contributor needs a role on each storage account."
  }
}

run "output" {
  override_resource {
    target = databricks_volume.files
    values = { volume_path = "/Volumes/harness/runs/files" }
  }

  assert {
    condition     = strcontains(output.harness_toml, "files = \"/Volumes/harness/runs/files\"\n")
    error_message = "The output has no line for the uploads."
  }

  assert {
    condition     = strcontains(output.harness_toml, "lake = \"abfss://lake@mydatalake.dfs.core.windows.net/harness\"\n")
    error_message = "The output has no line for the lake."
  }
}

run "scope_of_a_key_vault" {
  command = plan

  variables {
    key_vault = {
      resource_id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/my-vault"
      dns_name    = "https://my-vault.vault.azure.net/"
    }
  }

  assert {
    condition     = databricks_secret_scope.this.keyvault_metadata[0].dns_name == var.key_vault.dns_name
    error_message = "The secret scope doesn't have the vault's secrets."
  }
}

run "one_account_for_both" {
  command = plan

  variables {
    models_account_name = "mydatalake"
  }

  expect_failures = [var.models_account_name]
}
