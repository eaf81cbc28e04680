"""The job: the program that runs on Spark, from a plan to a result, the same on every target."""
