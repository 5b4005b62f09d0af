"""How an advisory is introduced to people who did not get it by mail."""

from __future__ import annotations

from hostemr.registration.advisories.store import Advisory

SEVERITIES = {
    "critical": "Critical: act at once",
    "high": "High: act within days",
    "medium": "Medium: plan to act",
    "low": "Low: act with your next upgrade",
}


def severity_words(severity: str) -> str:
    """What a severity asks of who runs OpenEMR."""
    return SEVERITIES.get(severity, severity)


def concerns(advisory: Advisory) -> str:
    """Whom it concerns, in a sentence or two."""
    words = [f"Severity: {advisory.severity}."] if advisory.severity else []
    if advisory.fixed_version:
        words.append(f"Concerns OpenEMR before {advisory.fixed_version}, which closes the hole.")
    return " ".join(words) or f"Sent to everyone on {advisory.day}."
