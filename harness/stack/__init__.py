"""The Compose stack: its images, its secrets, and the commands that bring it up and down."""
