"""The language of scenario files, as data: table, steps, pipeline, expectations, matrix."""
