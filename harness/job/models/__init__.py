"""The built-in model kinds, one module each, and the cross-validation that they share."""
