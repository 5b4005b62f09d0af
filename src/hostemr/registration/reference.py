"""Settings and metrics as rows, for the command line and for docs/reference, which tests hold against them."""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from hostemr.registration.environment import FIELDS, is_secret, seed_variable, variable
from hostemr.registration.metrics import Metrics


def settings_rows() -> list[dict[str, str]]:
    """One row for each setting, in the order of their definition."""
    return [
        {
            "name": name,
            "variable": variable(name),
            "seed_variable": seed_variable(name) or "",
            "default": "" if field.default in (None, PydanticUndefined) else str(field.default),
            "meaning": field.description or "",
            "secret": "yes" if is_secret(name) else "",
        }
        for name, field in FIELDS.items()
    ]


def settings_markdown() -> str:
    """docs/reference/registration-settings.md."""
    lines = [
        "# Settings of the registration service",
        "",
        "Made by `make docs`. Each is an environment variable; a secret can also come from a file named by the",
        "variable with `_FILE` at its end. An unknown `HOSTEMR_…` variable is refused.",
        "",
        "| Variable | Also | Default | Meaning |",
        "|---|---|---|---|",
    ]
    for row in settings_rows():
        name = f"`{row['variable']}`" + (" (secret)" if row["secret"] else "")
        also = f"`{row['seed_variable']}`" if row["seed_variable"] else ""
        default = f"`{row['default']}`" if row["default"] else ""
        lines.append(f"| {name} | {also} | {default} | {row['meaning']} |")
    return "\n".join(lines) + "\n"


def metrics_markdown() -> str:
    """docs/reference/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Made by `make docs`. Served for Prometheus at `/metrics` of `HOSTEMR_METRICS_PORT`.",
        "",
        "| Metric | Kind | Labels | Meaning |",
        "|---|---|---|---|",
    ]
    metrics = vars(Metrics())
    for metric in metrics.values():
        if not hasattr(metric, "_labelnames"):
            continue
        name = metric._name + ("_total" if metric._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        lines.append(f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |")
    return "\n".join(lines) + "\n"
