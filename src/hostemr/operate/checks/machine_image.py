"""A server starts from an image that is still maintained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates, written
from hostemr.operate.references import alternatives
from hostemr.operate.template import intrinsic


def _find(templates: Templates) -> Iterator[Found]:
    for server in templates.of("AWS::EC2::Instance", "AWS::EC2::LaunchTemplate"):
        for image in [*server.at("ImageId"), *server.at("LaunchTemplateData", "ImageId")]:
            fixed = sorted(_fixed(templates, server, image))
            if fixed:
                shown = fixed[0] if len(fixed) == 1 else f"{fixed[0]} and {len(fixed) - 1} more, one for each region"
                yield Found(
                    server,
                    f"its image is {shown}: it grows old, and is withdrawn one day",
                    "resolve the newest from a public parameter (/aws/service/…)",
                    "ImageId",
                )


def _fixed(templates: Templates, server: Resource, image: Any) -> set[str]:
    if intrinsic(image) == "Fn::FindInMap":
        mappings = templates.templates[server.stack].get("Mappings") or {}
        mapping = mappings.get(next(map(str, alternatives(image["Fn::FindInMap"])), ""))
        return {text for text in written(mapping) if text.startswith("ami-")}
    text = templates.text(server.stack, image)
    return {text} if text.startswith("ami-") else set()


CHECK = Check(
    id="HOSTEMR-MachineImage",
    title="A server starts from an image that is maintained",
    severity="warning",
    reason="A fixed image has the security holes of the day it was made, and a table of images leaves regions out.",
    source="https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html",
    find=_find,
)
