"""What the delivery of broadcasts measured, and its table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measurement. Recipients a second from the moment of queueing, the freezing included."""

    what: str
    recipients: int
    workers: int
    latency_ms: float
    per_second: float
    freeze_seconds: float = 0.0
    send_seconds: float = 0.0
    peak_mib: float = 0.0


def table(figures: list[Figure]) -> str:
    """The figures as Markdown."""
    lines = [
        "| what | recipients | workers | latency | recipients/s | frozen in | sent in | peak MiB of a worker |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {f.what} | {f.recipients:,} | {f.workers} | {f.latency_ms:.0f} ms | **{f.per_second:,.0f}** "
        f"| {f.freeze_seconds:.2f} s | {f.send_seconds:.1f} s | {f.peak_mib:.0f} |"
        for f in figures
    ]
    return "\n".join(lines)


def median(figures: list[Figure]) -> Figure:
    """The one in the middle, by speed."""
    return sorted(figures, key=lambda figure: figure.per_second)[len(figures) // 2]
