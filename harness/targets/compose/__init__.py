"""The Compose target: a stack of containers with the job in one of them."""
