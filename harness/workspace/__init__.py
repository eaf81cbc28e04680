"""A Databricks workspace: what is sent there, what runs there, and how it is followed."""
