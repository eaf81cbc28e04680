"""The Compose target: the stack of containers, and the job in one of them."""
