"""The API against its own description: thousands of requests, good and bad, and never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from hostemr.registration.openapi import load_document
from tests.peers.server import ServerProcess
from tests.registration.conftest import PIN, Service

EXAMPLES_PER_OPERATION = 100
"""Drawn at random, anew in each run; schemathesis adds each boundary of each field, the same in every run."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]

schema = schemathesis.openapi.from_dict(load_document())


@pytest.fixture(scope="module")
def generous(sqlite_process: tuple[str, ServerProcess]) -> str:
    return sqlite_process[1].url


@pytest.mark.real
@schema.parametrize()
@settings(max_examples=EXAMPLES_PER_OPERATION, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_reply_is_as_described(case: schemathesis.Case[Any], generous: str) -> None:
    case.call_and_validate(base_url=generous, checks=CHECKS)


def test_the_document_is_valid_json_schema_throughout() -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "schema":
                    Draft202012Validator.check_schema(inner)
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(load_document())


def test_every_example_fits_its_schema() -> None:
    document = load_document()
    error = document["components"]["schemas"]["Error"]
    for methods in document["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for content in response["content"].values():
                    described = error if "$ref" in content["schema"] else content["schema"]
                    if "example" in content:
                        Draft202012Validator(described).validate(content["example"])


@pytest.mark.anyio
async def test_every_route_is_described_and_every_description_is_routed(service: Service) -> None:
    for path, methods in load_document()["paths"].items():
        real = path.replace("{token}", "0" * 32).replace("{category}", "news")
        replies = {"get": await service.get(real), "post": await service.post(real)}
        for method, reply in replies.items():
            missing = reply.status_code == 405 or (reply.status_code == 404 and "{token}" not in path)
            assert missing != (method in methods), (method, path, reply.status_code)


@pytest.mark.anyio
async def test_it_is_served_as_data_and_as_a_page(service: Service) -> None:
    reply = await service.get("/openapi.json")
    assert reply.json() == load_document()
    page = await service.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in load_document()["paths"]:
        assert path in page.text
    assert (await service.get("/")).status_code == 200
    assert (await service.get("/static/page.css")).headers["content-type"].startswith("text/css")


@pytest.mark.anyio
async def test_documented_examples_do_what_they_say(service: Service) -> None:
    """The forms in the document, sent as they stand, get the first reply that it describes."""
    for path, methods in load_document()["paths"].items():
        operation = methods.get("post", {})
        form = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded")
        if form is None or "{token}" in path:
            continue
        data = {name: value["example"] for name, value in form["schema"]["properties"].items()}
        if "secretPin" in data:
            data["secretPin"] = PIN
        reply = await service.post(path, data=data)
        described = operation["responses"][str(reply.status_code)]["content"]["application/json"]
        assert reply.status_code < 300, (path, reply.text)
        Draft202012Validator(described["schema"]).validate(reply.json())
        assert set(reply.json()) == set(described["example"])


def test_hostile_heads_never_break_it(sqlite_process: tuple[str, ServerProcess]) -> None:
    """What schemathesis does not send: header values and paths that are no text."""
    url = sqlite_process[1].url
    with httpx.Client(base_url=url) as client:
        for name in ("content-type", "x-forwarded-for", "x-request-id", "content-length-x", "accept", "expect"):
            for value in (b"\xff\xfe", b"%00", b"a" * 5000, b'"', b";;;=", b""):
                reply = client.post("/api/registration", content=b"email=x", headers={name.encode(): value})
                assert reply.status_code < 500, (name, value, reply.text)
                assert json.loads(reply.text)["error"].endswith("Exception")
        for path in (
            "/api/registration/%ff",
            "/%00",
            "/api//registration",
            "/static/../app.py",
            "/static/%2e%2e/app.py",
        ):
            assert client.get(path).status_code in {404, 405}, path
