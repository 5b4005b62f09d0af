"""A database can be exported a second time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates
from hostemr.operate.texts import UNKNOWN

_CONSTANT = re.compile(r"ExportTaskIdentifier[\"']?\s*[:=]\s*[\"'](?P<name>[^\"'{}]+)[\"']\s*[,)}\n]")


def _find(templates: Templates) -> Iterator[Found]:
    for function in templates.of("AWS::Lambda::Function"):
        for code in (templates.text(function.stack, one) for one in function.at("Code", "ZipFile")):
            for match in _CONSTANT.finditer(code):
                if UNKNOWN not in match["name"]:
                    yield Found(
                        function,
                        f"it always calls its export {match['name']!r}: the second one fails as a duplicate",
                        "put the time into the name",
                        "Code.ZipFile",
                    )


CHECK = Check(
    id="HOSTEMR-ExportTask",
    title="A database can be exported a second time",
    severity="error",
    reason="RDS keeps the identifier of an export task, and refuses another task of the same name. Code that is not "
    "in the "
    "template cannot be read.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_StartExportTask.html",
    find=_find,
)
