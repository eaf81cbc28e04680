# Plans the module with mocked providers: 'terraform init' and 'terraform test', without any account.

mock_provider "azurerm" {}
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
    condition     = jsondecode(databricks_cluster_policy.this.definition).spark_version.values == var.runtimes
    error_message = "The cluster policy doesn't allow the runtimes."
  }

  assert {
    condition     = length(azurerm_role_assignment.contributors) == 2
    error_message = "A contributor needs a role on each storage account."
  }
}

run "one_account_for_both" {
  command = plan

  variables {
    models_account_name = "mydatalake"
  }

  expect_failures = [var.models_account_name]
}
