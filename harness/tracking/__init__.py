"""Runs as MLflow has recorded them."""
