"""Versions of Delta tables that published models depend on, and how long their tables keep them."""
