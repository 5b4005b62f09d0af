"""The registration service beside its original: what each costs in a month, as the guide shows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hostemr.operate.price import Bill, price
from hostemr.operate.prices.components import what_if
from hostemr.operate.prices.report import plain
from hostemr.operate.prices.scenarios import REGISTRIES, SCENARIOS
from hostemr.operate.template import Template, load_template

ORIGINAL = Path(__file__).parents[2] / "samples/registration/product-registration-original.template.json"
"""What the original's README has people make by hand (000_a287d84a04f8fabc, section DEPLOY)."""
_BEHIND_THE_BALANCER = {"Servers.traffic_out_gb": "0"}
"""What the load balancer sends to the internet, its servers do not send as well."""


def bills(ours: Mapping[str, Template]) -> dict[str, Bill]:
    """A bill of each for every use of a registration service: `ours idle`, `original idle` and so on."""
    both = {"ours": ours, "original": {"original": load_template(ORIGINAL)}}
    found = {}
    for use in REGISTRIES:
        amounts = {name: plain(amount) for name, amount in SCENARIOS[use].amounts().items()}
        for name, templates in both.items():
            assumed = amounts if name == "ours" else amounts | _BEHIND_THE_BALANCER
            found[f"{name}, {use}"] = price(templates, assumed=assumed)
    return found


def as_markdown(ours: Mapping[str, Template]) -> list[str]:
    """The table as lines of Markdown: parts down, bills across, dollars a month."""
    compared = what_if(bills(ours))
    lines = [
        f"| Part | {' | '.join(compared['columns'])} |",
        f"|---|{'---:|' * len(compared['columns'])}",
    ]
    for row in compared["rows"]:
        amounts = ["–" if amount is None else amount for amount in row["monthly"]]
        lines.append(f"| {row['component'].capitalize()} | {' | '.join(amounts)} |")
    lines.append(f"| **Together** | {' | '.join(f'**{total}**' for total in compared['totals'])} |")
    return lines
