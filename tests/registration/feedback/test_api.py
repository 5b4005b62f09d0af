"""Opting out: by one click, by a mail program, never by looking."""

from __future__ import annotations

import pytest

from tests.registration.conftest import Service

pytestmark = pytest.mark.anyio


async def registered(service: Service) -> str:
    await service.register("admin@clinic.example.org")
    [(token,)] = await service.rows("SELECT token FROM subscriber")
    return f"/unsubscribe/{token}"


async def status(service: Service) -> str:
    [(value,)] = await service.rows("SELECT status FROM subscriber")
    return str(value)


async def test_looking_changes_nothing(service: Service) -> None:
    path = await registered(service)
    for _ in range(3):
        reply = await service.get(path)
        assert reply.status_code == 200
        assert '<form method="post">' in reply.text
        assert "admin@clinic" not in reply.text, "the link can have been forwarded"
    assert await status(service) == "active"


@pytest.mark.parametrize(
    "options",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {},
    ],
)
async def test_one_click_opts_out_and_again_is_no_error(service: Service, options: dict[str, object]) -> None:
    path = await registered(service)
    for _ in range(2):
        reply = await service.post(path, **options)
        assert reply.status_code == 200
        assert "Unsubscribed" in reply.text
        assert "set-cookie" not in reply.headers
    assert await status(service) == "opted_out"
    assert service.metrics.opt_outs._value.get() == 1


@pytest.mark.parametrize("token", ["0" * 32, "x", "%ff", "' OR 1=1 --", "A" * 32, "0" * 5000])
async def test_unknown_links(service: Service, token: str) -> None:
    await registered(service)
    for reply in (await service.get(f"/unsubscribe/{token}"), await service.post(f"/unsubscribe/{token}")):
        assert reply.status_code == 404
    assert await status(service) == "active"


async def test_pages_let_nothing_in_from_elsewhere(service: Service) -> None:
    reply = await service.get(await registered(service))
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["referrer-policy"] == "no-referrer", "the link is a secret"
    assert "script" not in reply.text
