"""Storage accounts: who the harness is there, and how files are copied to them."""
