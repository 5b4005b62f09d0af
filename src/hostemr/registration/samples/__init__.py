"""Invented data that show what the console looks like in use, in a database of their own and never in another."""
