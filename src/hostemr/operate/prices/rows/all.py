"""The whole table."""

from __future__ import annotations

from hostemr.operate.prices.rows import compute, databases, monitoring, network, security, storage
from hostemr.operate.prices.table import Table

TABLE = Table((*compute.ROWS, *storage.ROWS, *databases.ROWS, *network.ROWS, *security.ROWS, *monitoring.ROWS))
