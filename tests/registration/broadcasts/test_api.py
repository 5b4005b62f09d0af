"""`POST /api/registration/broadcast`: the seed's contract, and a frozen audience behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import argon2
import httpx
import pytest

from tests.registration.conftest import PIN, NewService, Service

pytestmark = pytest.mark.anyio


async def broadcast(service: Service, **fields: str) -> httpx.Response:
    return await service.post(
        "/api/registration/broadcast", data={"secretPin": PIN, "title": "Title", "contents": "Text", **fields}
    )


async def register_many(service: Service, count: int) -> None:
    replies = await asyncio.gather(*(service.register(f"user{n}@example.org", version="8.0.0") for n in range(count)))
    assert {reply.status_code for reply in replies} == {201}


async def test_the_right_pin_queues_for_every_address(service: Service) -> None:
    await register_many(service, 120)
    reply = await broadcast(service)
    assert (reply.status_code, reply.json()) == (200, {"status": "sent"})
    assert await service.rows("SELECT title, contents, state, audience FROM broadcast") == [
        ("Title", "Text", "queued", 120)
    ]
    sizes = await service.rows("SELECT chunk_number, COUNT(*) FROM delivery GROUP BY chunk_number ORDER BY 1")
    assert sizes == [(0, 50), (1, 50), (2, 20)]
    assert await service.rows("SELECT number, state FROM chunk ORDER BY number") == [
        (0, "pending"),
        (1, "pending"),
        (2, "pending"),
    ]


async def test_the_audience_is_frozen_and_leaves_out_who_opted_out(service: Service) -> None:
    await register_many(service, 3)
    [(token,), *_] = await service.rows("SELECT token FROM subscriber ORDER BY id")
    await service.post(f"/unsubscribe/{token}")
    await broadcast(service)
    await service.register("late@example.org")
    assert await service.rows("SELECT COUNT(*) FROM delivery") == [(2,)]


async def test_a_broadcast_to_nobody_is_done_at_once(service: Service) -> None:
    assert (await broadcast(service)).status_code == 200
    assert await service.rows("SELECT state, audience FROM broadcast") == [("done", 0)]


@pytest.mark.parametrize("pin", ["wrong", "", PIN.upper(), PIN + " ", "\x00"])
async def test_a_wrong_pin_is_401_whatever_the_message(service: Service, pin: str) -> None:
    for fields in ({}, {"title": ""}):
        reply = await broadcast(service, secretPin=pin, **fields)
        assert (reply.status_code, reply.json()["error"]) == (401, "InvalidSecretPinException")
    assert await service.rows("SELECT COUNT(*) FROM broadcast") == [(0,)]


async def test_no_pin_set_means_that_none_is_right(new_service: NewService) -> None:
    service = await new_service(SECRET_PIN="")
    for pin in ("", "None", PIN):
        assert (await broadcast(service, secretPin=pin)).status_code == 401


async def test_the_pin_may_be_held_as_a_hash(new_service: NewService) -> None:
    pin_hash = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PIN)
    service = await new_service(SECRET_PIN="", HOSTEMR_SECRET_PIN_HASH=pin_hash)
    assert (await broadcast(service, secretPin="wrong")).status_code == 401
    assert (await broadcast(service)).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "   "},
        {"title": "x" * 256},
        {"title": "Hello\nBcc: all@example.org"},
        {"title": "Hello\r\nX: y"},
        {"title": "nul\0"},
        {"title": "line\u2028separator"},
        {"contents": ""},
        {"contents": " \n "},
        {"contents": "nul\0"},
        {"contents": "x" * 262_145},
    ],
)
async def test_a_message_that_cannot_be_sent_is_400(service: Service, fields: dict[str, str]) -> None:
    reply = await broadcast(service, **fields)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidEmailMessageException")


@pytest.mark.parametrize(
    ("options", "status", "name"),
    [
        ({"json": {"secretPin": PIN, "title": "T", "contents": "C"}}, 200, None),
        ({"files": {"secretPin": (None, PIN), "title": (None, "T"), "contents": (None, "C")}}, 200, None),
        ({"json": {"secretPin": PIN, "title": 1, "contents": "C"}}, 400, "InvalidEmailMessageException"),
        ({"json": {"secretPin": 1, "title": "T", "contents": "C"}}, 401, "InvalidSecretPinException"),
        ({"json": []}, 400, "InvalidEmailMessageException"),
        ({"content": b"secretPin=x", "headers": {"content-type": "text/plain"}}, 415, "UnsupportedMediaTypeException"),
        ({"data": {"contents": "x" * 1_100_000}}, 413, "PayloadTooLargeException"),
    ],
)
async def test_bodies(service: Service, options: dict[str, Any], status: int, name: str | None) -> None:
    reply = await service.post("/api/registration/broadcast/", **options)
    assert (reply.status_code, reply.json().get("error")) == (status, name)


async def test_the_same_message_again_is_not_sent_again(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    await register_many(services[0], 3)
    replies = await asyncio.gather(*(broadcast(service) for service in services for _ in range(2)))
    replies.append(await broadcast(services[0]))
    assert {reply.status_code for reply in replies} == {200}
    assert await services[0].rows("SELECT COUNT(*) FROM broadcast") == [(1,)]
    assert await services[0].rows("SELECT COUNT(*) FROM delivery") == [(3,)]
    assert (await broadcast(services[0], contents="Other text")).status_code == 200
    assert await services[0].rows("SELECT COUNT(*) FROM broadcast") == [(2,)]


async def test_what_the_board_can_say_beside_title_and_contents(service: Service) -> None:
    fields = {"format": "markdown", "category": "news", "severity": "high", "fixed_version": "7.0.3 (1)"}
    assert (await broadcast(service, contents="It is *closed*.", **fields)).status_code == 200
    stored = await service.rows("SELECT format, category, severity, fixed_version FROM broadcast")
    assert stored == [("markdown", "news", "high", "7.0.3 (1)")]
    [(text, page)] = await service.rows("SELECT text_part, html_part FROM broadcast")
    assert "7.0.3 (1)" in text
    assert "<em>closed</em>" in page


async def test_a_fixed_version_leaves_out_who_has_it(service: Service) -> None:
    await register_many(service, 2)
    await service.register("old@example.org", version="7.0.2")
    assert (await broadcast(service, fixed_version="7.0.3")).status_code == 200
    assert await service.rows("SELECT audience FROM broadcast") == [(1,)]


async def test_every_mistake_is_named_at_once(service: Service) -> None:
    reply = await broadcast(service, title="", format="htm", category="fun", severity="bad", fixed_version="seven")
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidEmailMessageException")
    for part in ("title", "did you mean html?", "category", "severity", "fixed_version"):
        assert part in reply.json()["message"]


async def test_text_in_every_language_is_kept_to_the_letter(service: Service) -> None:
    title, contents = "Безопасность 🔒 אבטחה", "{{not a template}} 漢字\r\nمرحبا\n\t€"
    assert (await broadcast(service, title=title, contents=contents)).status_code == 200
    assert await service.rows("SELECT title, contents FROM broadcast") == [(title, contents)]
