"""The console's first page: how many are registered, with what, and how that changed."""
