# The cluster policy and the secret scope. Secrets are added by hand, so that Terraform's state has none.

resource "databricks_cluster_policy" "this" {
  name = var.name
  definition = templatefile("${path.module}/cluster_policy.json.tftpl", {
    runtimes    = var.runtimes
    node_types  = var.node_types
    max_workers = var.max_workers
  })
}

resource "databricks_permissions" "policy" {
  cluster_policy_id = databricks_cluster_policy.this.id

  access_control {
    group_name       = var.group
    permission_level = "CAN_USE"
  }
}

resource "databricks_secret_scope" "this" {
  name = var.name

  dynamic "keyvault_metadata" {
    for_each = var.key_vault == null ? [] : [var.key_vault]

    content {
      resource_id = keyvault_metadata.value.resource_id
      dns_name    = keyvault_metadata.value.dns_name
    }
  }
}

resource "databricks_secret_acl" "this" {
  scope      = databricks_secret_scope.this.name
  principal  = var.group
  permission = "READ"
}
