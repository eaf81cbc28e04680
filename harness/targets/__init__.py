"""The targets, one package each."""
