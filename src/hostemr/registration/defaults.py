"""Defaults of settings that are known to more than the settings: see health_check.py."""

from __future__ import annotations

HOST = "127.0.0.1"
PORT = 8080
WORKER_LEASE_SECONDS = 60
