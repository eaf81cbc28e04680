"""What has to be on a machine before Spark can start: Java and the jars."""
