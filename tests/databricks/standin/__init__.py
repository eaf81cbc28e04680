"""A stand-in for a Databricks workspace: its REST calls, and real processes behind them."""
