"""Backup and restore of one clinic: hostemr's agent beside the plain tools driven by hand."""
