"""Bounds: what a scenario expects of its versions, and how measurements are judged by it."""
