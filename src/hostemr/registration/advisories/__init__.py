"""Advisories that were sent, for everyone: pages and a feed."""
