"""Runs that MLflow has recorded."""
