"""Whose certificates are believed."""

from __future__ import annotations

import ssl
from pathlib import Path

from hostemr.errors import SettingsError


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Verify certificates by this machine's authorities, or by those in a PEM file alone. Raises SettingsError."""
    if ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or error
        message = f"--ca-file {ca_file} cannot be read as certificates, expected certificates as PEM: {why}"
        raise SettingsError([message]) from error
