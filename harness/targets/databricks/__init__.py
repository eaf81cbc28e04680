"""The Databricks target: a one-time run on a cluster of a workspace."""
