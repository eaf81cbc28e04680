"""Storage accounts: their credentials, and access to their files."""
