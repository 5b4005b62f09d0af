"""The reference page of the checks, written from their records."""

from __future__ import annotations

from hostemr.operate.checks.registry import CHECKS


def reference() -> str:
    """Markdown: each check of our own with its severity, its reason and its source."""
    lines = [
        "# Checks",
        "",
        "What `hostemr check` looks for beside cfn-lint and cdk-nag. Generated from `hostemr.operate.checks`.",
        "",
        "| id | severity | what it wants |",
        "|---|---|---|",
        *(f"| [{one.id}](#{one.id.lower()}) | {one.severity} | {one.title} |" for one in CHECKS),
    ]
    for one in CHECKS:
        lines += ["", f"## {one.id}", "", f"**{one.title}.** {one.reason}", "", f"Source: <{one.source}>"]
    return "\n".join(lines) + "\n"
