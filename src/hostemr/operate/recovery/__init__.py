"""Backups of a Fargate deployment, and restores of database and files as a pair."""
