"""What would happen if templates were created, updated or deleted, and what of it can be tried without an account."""
