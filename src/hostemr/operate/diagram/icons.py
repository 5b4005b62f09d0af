"""Small signs for kinds of things, drawn on a field of 24 by 24 with lines only."""

from __future__ import annotations

ICONS = {
    "people": "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-5 3-8 7-8s7 3 7 8M16 4a4 4 0 0 1 0 7M18 14c3 1 4 4 4 7",
    "name": "M3 4h11l7 8-7 8H3zM8 12h.1",
    "globe": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18",
    "shield": "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM8 12l3 3 5-6",
    "split": "M3 12h7M10 12l8-7M10 12h8M10 12l8 7M18 3v4M18 10v4M18 17v4",
    "tasks": "M3 5h8v6H3zM13 5h8v6h-8zM3 13h8v6H3zM13 13h8v6h-8z",
    "server": "M4 4h16v7H4zM4 13h16v7H4zM7 7.500h.1M7 16.500h.1",
    "out": "M4 4h9M4 4v16M4 20h9M10 12h11M17 8l4 4-4 4",
    "chart": "M4 3v18h17M8 17v-5M12 17V7M16 17v-8M20 17v-3",
    "database": "M4 6c0-4 16-4 16 0s-16 4-16 0zM4 6v12c0 4 16 4 16 0V6M4 12c0 4 16 4 16 0",
    "files": "M3 6h7l2 3h9v11H3zM3 12h18",
    "cache": "M13 2L5 14h6l-1 8 9-13h-7z",
    "disk": "M4 5h16v14H4zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM17 16h.1",
    "bucket": "M4 6c0-3 16-3 16 0s-16 3-16 0zM4 6l2 13c1 2 11 2 12 0l2-13",
    "vault": "M3 4h18v15H3zM6 19v2M18 19v2M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 8v8M8 12h8",
    "key": "M8 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 12h10M18 12v4M22 12v3",
    "trail": "M6 3h10l4 4v14H6zM16 3v4h4M9 11h8M9 15h8M9 19h5",
    "logs": "M4 5h16M4 10h16M4 15h11M4 20h7",
    "bell": "M6 17V10c0-8 12-8 12 0v7l2 2H4zM10 22h4",
    "mail": "M3 5h18v14H3zM3 6l9 8 9-8",
}
"""Every line is round-ended; a line of length .1 is a dot."""

ANCHOR = "M0-6.500a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM0-2.500V7M-3.5 0h7M-6 2c0 7 12 7 12 0"
"""Around (0, 0): what stays when its stack goes."""
