"""The settings as text for the command line and for docs/reference, which tests hold against them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.load import as_json
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.deployment.setting import Setting
from hostemr.deployment.sizes import SIZES
from hostemr.deployment.table import has_sizes, settings_of

SOURCES = {
    "seed": "host-openemr-on-aws-fargate and host-openmrs-on-aws-fargate, which hostemr replaces",
    "peer": "its successor openemr-on-ecs",
    "ours": "hostemr",
}
_PARAMETERS = (
    "They are what a template is made for. Those that are the default of a parameter can be changed whenever the",
    "stack is launched or updated, in the CloudFormation console too; for the others, make the template anew.",
    "",
)
_OF_REGISTRATION = (
    "They are what the stacks are made for. What the service itself can be told besides is in",
    "[its own settings](registration-settings.md); the stacks give it those that hang on AWS.",
    "",
)
_SOURCES_OF_REGISTRATION = {
    "seed": "the original product-registration service, which hostemr replaces, and its guide to AWS",
    "peer": "openemr-on-ecs, whose names the other deployments have too",
    "ours": "hostemr",
}
_SOURCES_OF_EXPRESS_PLUS = {"seed": "OpenEMR Cloud Express Plus, which hostemr replaces", "ours": "hostemr"}


def settings_rows(application: str, size: str) -> list[dict[str, object]]:
    """One row for each setting, in the order of the table, with the defaults of one size."""
    return [
        {
            "name": row.key(application),
            "type": row.kind.text,
            "default": as_json(row, row.default_for(application, size)),
            "varies_with_size": row.varies_with_size,
            "meaning": row.meaning,
            "source": row.source,
        }
        for row in settings_of(application)
    ]


def size_facts(application: str, name: str) -> dict[str, Any]:
    """What a size is for, and what it gives up."""
    size = SIZES[name]
    return {"name": size.name, "purpose": size.purpose, "gives_up": list(size.gives_up_for(application))}


def settings_text(application: str, size: str, width: int) -> str:
    """The size's description and the settings, no line longer than `width` unless one word is."""
    return "\n".join(_lines(application, size, width)) + "\n"


def _lines(application: str, size: str, width: int) -> Iterator[str]:
    if has_sizes(application):
        facts = size_facts(application, size)
        yield from textwrap.wrap(f"Size {facts['name']}. {facts['purpose']} It gives up:", width)
        for line in facts["gives_up"]:
            yield from textwrap.wrap(line, width, initial_indent="- ", subsequent_indent="  ")
    else:
        says = "What a template is made for. What is a default can be changed at launch."
        if application == REGISTRATION:
            says = "The registration service on AWS. Its own settings: `hostemr registration settings`."
        yield from textwrap.wrap(says, width)
    for row in settings_rows(application, size):
        yield ""
        yield from textwrap.wrap(f"{row['name']} = {json.dumps(row['default'])}", width, break_long_words=False)
        for text in (row["meaning"], f"Type: {row['type']}.", f"Source: {row['source']}."):
            yield from textwrap.wrap(str(text), width, initial_indent="    ", subsequent_indent="    ")


def settings_markdown(deployment: str) -> str:
    """docs/reference/settings-DEPLOYMENT.md."""
    lines = [
        f"# Settings of {title(deployment)}",
        "",
        f"Made by `make docs`. They stand in the `context` of `deployments/{deployment}/cdk.json`;",
        "`cdk -c NAME=VALUE` overrides one. `null` asks for the default, except where the type says that null is a",
        f"value. An unknown name is refused. `hostemr settings {deployment}` prints the same.",
        "",
        *_beginning(deployment),
        "## Settings",
        "",
        (f"Where there are three defaults, they are those of {', '.join(SIZES)}. " if has_sizes(deployment) else "")
        + "Where the names come from:",
        "",
        *(f"- {source}: {meaning}" for source, meaning in _sources(deployment).items()),
        "",
        "| Name | Default | Type | Meaning | Source |",
        "|---|---|---|---|---|",
    ]
    for row in settings_of(deployment):
        cells = (f"`{row.key(deployment)}`", _defaults(row, deployment), row.kind.text, row.meaning, row.source)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def title(deployment: str) -> str:
    """What people call a deployment."""
    if deployment == EXPRESS_PLUS:
        return "OpenEMR Express Plus"
    if deployment == REGISTRATION:
        return "the registration service on AWS"
    return f"{APPLICATIONS[deployment].title} on AWS Fargate"


def _beginning(deployment: str) -> Iterable[str]:
    if has_sizes(deployment):
        return _sizes(deployment)
    return _OF_REGISTRATION if deployment == REGISTRATION else _PARAMETERS


def _sources(deployment: str) -> dict[str, str]:
    given = {EXPRESS_PLUS: _SOURCES_OF_EXPRESS_PLUS, REGISTRATION: _SOURCES_OF_REGISTRATION}
    return given.get(deployment, SOURCES)


def _sizes(application: str) -> Iterator[str]:
    yield from (
        "## Sizes",
        "",
        "`size` chooses the defaults of the other settings; any setting given overrides it.",
    )
    for size in SIZES.values():
        yield from ("", f"### {size.name}", "", f"{size.purpose} It gives up:", "")
        yield from (f"- {line}" for line in size.gives_up_for(application))
    yield ""


def _defaults(row: Setting, application: str) -> str:
    values: list[Any] = [as_json(row, row.default_for(application, size)) for size in SIZES]
    return " / ".join(f"`{json.dumps(one)}`" for one in (values if row.varies_with_size else values[:1]))
