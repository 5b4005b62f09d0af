"""The API's description as data (OpenAPI 3.1), and a page made of it."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.registration.bodies import FORM, JSON
from hostemr.registration.pages import Pages
from hostemr.registration.replies import JSONReply
from hostemr.registration.routes import named_route, routes_for


def load_document() -> dict[str, Any]:
    """The document, which is kept by hand in openapi.json and held against the service by tests."""
    text = resources.files("hostemr.registration").joinpath("openapi.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def documentation_routes(pages: Pages, base_url: str) -> list[BaseRoute]:
    """`/openapi.json`, `/docs`, and the front page; `base_url` is where the examples ask."""
    document = load_document()
    operations = [
        _operation(base_url, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]

    async def as_data(_request: Request) -> Response:
        return JSONReply(document)

    async def as_page(_request: Request) -> Response:
        return pages.render("api.html", document=document, operations=operations)

    async def home(_request: Request) -> Response:
        return pages.render("home.html", headers={"cache-control": "public, max-age=300"})

    return [
        *routes_for("/openapi.json", as_data, "GET"),
        *routes_for("/docs", as_page, "GET"),
        named_route("/", home, "GET"),
    ]


def _operation(base_url: str, path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    fields = [
        {
            "name": parameter["name"],
            "place": parameter["in"],
            "type": _type(parameter["schema"]),
            "required": parameter["required"],
            "description": parameter["description"],
        }
        for parameter in operation.get("parameters", [])
    ]
    contents: list[dict[str, Any]] = list(operation.get("requestBody", {}).get("content", {}).values())
    schema: dict[str, Any] = contents[0]["schema"] if contents else {}
    fields += [
        {
            "name": name,
            "place": "body",
            "type": _type(value),
            "required": name in schema.get("required", []),
            "description": value.get("description", ""),
        }
        for name, value in schema.get("properties", {}).items()
    ]
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": operation["description"],
        "fields": fields,
        "example": _curl(f"{base_url}{path}", method, operation, schema) if _is_for_people(path) else "",
        "responses": [
            {"status": status, "description": response["description"], "example": _example(response)}
            for status, response in sorted(operation["responses"].items())
        ],
    }


def _is_for_people(path: str) -> bool:
    """Whether somebody would try it by hand: what Amazon SNS posts, nobody else can sign."""
    return path.startswith("/api/") and not path.startswith("/api/feedback/")


def _type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any")
    return kind if isinstance(kind, str) else " or ".join(kind)


def _example(response: dict[str, Any]) -> str:
    for content in response["content"].values():
        if "example" in content:
            return json.dumps(content["example"], ensure_ascii=False)
    return ""


def _curl(url: str, method: str, operation: dict[str, Any], schema: dict[str, Any]) -> str:
    if method == "get":
        return f"curl {url}"
    if FORM not in operation["requestBody"]["content"]:
        query = "&".join(f"{one['name']}={one['example']}" for one in operation.get("parameters", []))
        words = [f"-H 'Content-Type: {JSON}'", "-d '{\"usageRecords\": []}'", f"'{url}?{query}'"]
    else:
        words = [f"--data-urlencode '{name}={value['example']}'" for name, value in schema["properties"].items()]
        words.append(url)
    return " \\\n  ".join(["curl", *words])
