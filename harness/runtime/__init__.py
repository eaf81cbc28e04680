"""Prerequisites of Spark on a machine: Java and the jars."""
