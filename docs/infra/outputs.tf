output "harness_toml" {
  description = "Lines for harness.toml."
  value = templatefile("${path.module}/harness.toml.tftpl", {
    files        = databricks_volume.files.volume_path
    lake         = "${local.roots.lake}/harness"
    models       = databricks_volume.models.volume_path
    runtimes     = var.runtimes
    node_types   = var.node_types
    policy_id    = databricks_cluster_policy.this.id
    secret_scope = databricks_secret_scope.this.name
  })
}

output "roots" {
  description = "URIs of the lake's and the models' container, for local runs."
  value       = local.roots
}
