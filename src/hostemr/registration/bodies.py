"""Reads request bodies within limits, and the fields of forms and JSON objects from them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from hostemr.errors import PayloadTooLarge, RequestError, RequestTimeout, UnsupportedMediaType
from hostemr.registration.headers import header

BODY_TIMEOUT_SECONDS = 30
MOST_FIELDS = 50

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The whole body. Raises PayloadTooLarge over `most_bytes`, RequestTimeout if it comes too slowly."""
    announced = header(request.scope, b"content-length")
    if announced.isdigit() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part = message.get("body", b"")
                size += len(part)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError:
        text = f"The body did not arrive within {BODY_TIMEOUT_SECONDS} seconds."
        raise RequestTimeout(text) from None
    return b"".join(parts)


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, lower-case."""
    return header(request.scope, b"content-type").partition(";")[0].strip().lower()


async def read_fields(request: Request, most_bytes: int) -> dict[str, Any]:
    """The fields of a form (urlencoded or multipart) or of a JSON object.

    Raises UnsupportedMediaType for other types, PayloadTooLarge, and RequestError for what is
    malformed: bytes that are not UTF-8, a field that occurs twice, JSON that is no object.
    """
    kind = media_type(request)
    if kind not in {FORM, MULTIPART, JSON}:
        message = f"The Content-Type is {kind or 'missing'}; expected {FORM}, {MULTIPART} or {JSON}."
        raise UnsupportedMediaType(message)
    body = await read_body(request, most_bytes)
    if kind == JSON:
        return parse_json_object(body)
    if kind == MULTIPART:
        return await _parse_multipart(request, body)
    return _parse_form(body)


def parse_json(body: bytes) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN, and no name twice in an object. Raises RequestError."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
        if b"\\u" in body:
            # An escape can name half of a surrogate pair, which is no text.
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeError:
        raise _not_utf8() from None
    except (ValueError, RecursionError):
        message = "The body is not valid JSON."
        raise RequestError(message) from None


def parse_json_object(body: bytes) -> dict[str, Any]:
    """As `parse_json`, for an object."""
    value = parse_json(body)
    if not isinstance(value, dict):
        message = "The body is not a JSON object."
        raise RequestError(message)
    return value


def _parse_form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except UnicodeDecodeError:
        raise _not_utf8() from None
    except ValueError:
        message = f"The form has more than {MOST_FIELDS} fields."
        raise RequestError(message) from None
    return _once(pairs)


async def _parse_multipart(request: Request, body: bytes) -> dict[str, Any]:
    async def stream() -> Any:
        yield body
        yield b""

    try:
        # The parser would take what is not UTF-8 for Latin-1.
        body.decode("utf-8")
        form = await MultiPartParser(
            request.headers, stream(), max_files=0, max_fields=MOST_FIELDS, max_part_size=len(body)
        ).parse()
    except UnicodeDecodeError:
        raise _not_utf8() from None
    except (MultiPartException, MultipartParseError, KeyError, LookupError) as error:
        message = "The multipart body is malformed."
        raise RequestError(message, hint=str(error)) from None
    return _once((name, value) for name, value in form.multi_items() if not isinstance(value, UploadFile))


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            message = f"The field {name[:64]!r} occurs more than once."
            raise RequestError(message)
        fields[name] = value
    return fields


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _too_large(most_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {most_bytes} bytes.")


def _not_utf8() -> RequestError:
    return RequestError("The body is not valid UTF-8.")
