"""Tools for authors of scenarios: a first file from data, the list of scenarios, and plan previews."""
