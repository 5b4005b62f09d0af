"""A custom resource's function answers with the same physical id at every update."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostemr.operate.checks.identities import custom_resources, functions_behind
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Templates

_STREAM = re.compile(r"PhysicalResourceId\W{1,12}(?:[\w.]+\s+or\s+)?context\.(log_stream_name|logStreamName)")
_HELPER = re.compile(r"cfnresponse\.send\((?P<given>[^()]*(?:\([^()]*\)[^()]*)*)\)")


def _find(templates: Templates) -> Iterator[Found]:
    for custom in custom_resources(templates):
        for function in functions_behind(templates, custom):
            for code in (templates.text(function.stack, one) for one in function.at("Code", "ZipFile")):
                helper = [one["given"].split(",") for one in _HELPER.finditer(code)]
                unnamed = bool(helper) and any(len(given) < 5 for given in helper)
                if _STREAM.search(code) or unnamed:
                    yield Found(
                        custom,
                        f"{function.logical_id} answers with its log stream's name as PhysicalResourceId, which "
                        "differs "
                        "from call to call: each update is a replacement, and the old id gets a Delete",
                        "answer with event['PhysicalResourceId'] at Update and Delete, and with a fixed name at Create",
                        "ServiceToken",
                    )
                    break


CHECK = Check(
    id="HOSTEMR-CustomResourceId",
    title="A custom resource keeps its physical id",
    severity="error",
    reason="Another id means that the resource was replaced, and CloudFormation deletes what it takes for the old one.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html",
    find=_find,
)
