"""Registering installations, and counting them."""
