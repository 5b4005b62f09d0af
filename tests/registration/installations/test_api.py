"""`POST /api/registration` and `GET /api/registration/unique`, as the seed and the real clients need them."""

from __future__ import annotations

import asyncio
import json
import uuid

import httpx
import pytest

from hostemr.registration.client_address import keyed_hash
from hostemr.registration.keys import resolve_keys
from tests.registration.conftest import NewService, Service

pytestmark = pytest.mark.anyio

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
ADDRESS = "admin@clinic.example.org"


def assert_error(reply: httpx.Response, status: int, name: str) -> None:
    assert (reply.status_code, reply.json()["error"]) == (status, name), reply.text
    assert set(reply.json()) == {"error", "message", "requestId"}
    assert reply.json()["requestId"] == reply.headers["x-request-id"]


def assert_registered(reply: httpx.Response) -> str:
    assert reply.status_code == 201, reply.text
    assert set(reply.json()) == {"productId"}
    product_id = str(reply.json()["productId"])
    assert uuid.UUID(product_id).version == 4
    return product_id


async def test_registers_and_counts(service: Service) -> None:
    assert (await service.get("/api/registration/unique")).json() == {"count": 0}
    assert_registered(await service.register(ADDRESS))
    assert (await service.get("/api/registration/unique")).json() == {"count": 1}


async def test_clients_without_a_version_are_told_409(service: Service) -> None:
    assert_registered(await service.register(ADDRESS))
    assert_error(await service.register(ADDRESS), 409, "AlreadyRegisteredException")
    assert_error(await service.register(f"  {ADDRESS.upper()} "), 409, "AlreadyRegisteredException")


async def test_clients_with_a_version_get_a_further_product_id(service: Service) -> None:
    first = assert_registered(await service.register(ADDRESS))
    second = assert_registered(await service.register(ADDRESS, version="7.0.3 (1)", distribution="docker"))
    third = assert_registered(await service.register(ADDRESS, version=""))
    assert len({first, second, third}) == 3
    assert (await service.get("/api/registration/unique")).json() == {"count": 1}
    rows = await service.rows("SELECT product_id, version, distribution, version_order FROM installation ORDER BY id")
    assert [row[:3] for row in rows] == [(first, None, None), (second, "7.0.3 (1)", "docker"), (third, None, None)]
    assert rows[1][3] > 0


@pytest.mark.parametrize(("policy", "status"), [("always-409", 409), ("always-201", 201)])
async def test_the_policy_is_a_setting(new_service: NewService, policy: str, status: int) -> None:
    service = await new_service(HOSTEMR_REPEAT_REGISTRATIONS=policy)
    assert_registered(await service.register(ADDRESS, version="7.0.3"))
    assert (await service.register(ADDRESS, version="7.0.3")).status_code == status
    assert (await service.register(ADDRESS)).status_code == status


async def test_internationalised_domains_are_stored_as_punycode(service: Service) -> None:
    assert_registered(await service.register("Praxis@bücher.example.org"))
    assert_error(await service.register("praxis@xn--bcher-kva.example.org"), 409, "AlreadyRegisteredException")
    assert await service.rows("SELECT email, email_key FROM subscriber") == [
        ("Praxis@xn--bcher-kva.example.org", "praxis@xn--bcher-kva.example.org")
    ]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, b"email=admin%40clinic.example.org"),
        (
            FORM | {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"},
            b"email=+admin@clinic.example.org",
        ),
        (JSON, b'{"email": "admin@clinic.example.org"}'),
        (JSON, b'{"email": "admin@clinic.example.org", "version": null}'),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\nadmin@clinic.example.org\r\n--x--\r\n',
        ),
    ],
)
@pytest.mark.parametrize("path", ["/api/registration", "/api/registration/"])
async def test_forms_and_json_with_and_without_a_slash(
    service: Service, headers: dict[str, str], body: bytes, path: str
) -> None:
    assert_registered(await service.post(path, content=body, headers=headers))
    assert await service.rows("SELECT email FROM subscriber") == [(ADDRESS,)]


@pytest.mark.parametrize(
    ("headers", "body", "status", "name"),
    [
        (FORM, b"", 400, "InvalidEmailException"),
        (FORM, b"mail=a%40example.org", 400, "InvalidEmailException"),
        (FORM, b"email=", 400, "InvalidEmailException"),
        (FORM, b"email=nonsense", 400, "InvalidEmailException"),
        (FORM, b"email=%00", 400, "InvalidEmailException"),
        (FORM, b"email=a%00@example.org", 400, "InvalidEmailException"),
        (FORM, b"email=%ff%fe@example.org", 400, "InvalidEmailException"),
        (FORM, b"email=\xff\xfe@example.org", 400, "InvalidEmailException"),
        (FORM, b"email=a@example.org&email=b@example.org", 400, "InvalidEmailException"),
        (FORM, b"&".join(b"f%d=" % number for number in range(60)), 400, "InvalidEmailException"),
        (FORM, b"email=" + b"a" * 5000, 413, "PayloadTooLargeException"),
        (JSON, b"", 400, "InvalidEmailException"),
        (JSON, b"{", 400, "InvalidEmailException"),
        (JSON, b"[]", 400, "InvalidEmailException"),
        (JSON, b'"a@example.org"', 400, "InvalidEmailException"),
        (JSON, b'{"email": 7}', 400, "InvalidEmailException"),
        (JSON, b'{"email": null}', 400, "InvalidEmailException"),
        (JSON, b'{"email": ["a@example.org"]}', 400, "InvalidEmailException"),
        (JSON, b'{"email": "a@example.org", "email": "b@example.org"}', 400, "InvalidEmailException"),
        (JSON, b'{"email": "a@example.org", "version": NaN}', 400, "InvalidEmailException"),
        (JSON, b'{"email": "a@example.org", "version": 8}', 400, "InvalidEmailException"),
        (JSON, b'{"email": "\\ud800@example.org"}', 400, "InvalidEmailException"),
        (JSON, b'{"email": "a@example.org", "version": "\\udfff"}', 400, "InvalidEmailException"),
        (JSON, b'{"email": "\xff@example.org"}', 400, "InvalidEmailException"),
        (JSON, b"[" * 4000, 400, "InvalidEmailException"),
        (JSON, b'{"n": ' + b"9" * 4050 + b"}", 400, "InvalidEmailException"),
        ({"content-type": "text/plain"}, b"email=a@example.org", 415, "UnsupportedMediaTypeException"),
        ({"content-type": "application/xml"}, b"<a/>", 415, "UnsupportedMediaTypeException"),
        ({}, b"email=a@example.org", 415, "UnsupportedMediaTypeException"),
        ({"content-type": "\xff"}, b"email=a@example.org", 415, "UnsupportedMediaTypeException"),
        ({"content-type": "multipart/form-data"}, b"x", 400, "InvalidEmailException"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\n\r\n", 400, "InvalidEmailException"),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="email"; filename="f"\r\n\r\na@example.org\r\n--x--\r\n',
            400,
            "InvalidEmailException",
        ),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na@\xfcx.org\r\n--x--\r\n',
            400,
            "InvalidEmailException",
        ),
    ],
)
async def test_what_is_wrong_is_told_in_one_shape(
    service: Service, headers: dict[str, str], body: bytes, status: int, name: str
) -> None:
    raw = {key: value.encode("latin-1") for key, value in headers.items()}
    assert_error(await service.post("/api/registration", content=body, headers=raw), status, name)
    assert await service.rows("SELECT COUNT(*) FROM subscriber") == [(0,)]


async def test_ten_megabytes_are_refused_announced_or_not(service: Service) -> None:
    body = b"email=" + b"a" * 10_000_000
    assert_error(await service.post("/api/registration", content=body, headers=FORM), 413, "PayloadTooLargeException")
    served = 0

    async def streamed() -> object:
        nonlocal served
        for _ in range(10_000):
            served += 1
            yield b"a" * 1000

    reply = await service.post("/api/registration", content=streamed(), headers=FORM)
    assert_error(reply, 413, "PayloadTooLargeException")
    assert served < 10, "the rest of the body is not read"


async def test_text_about_the_client_never_costs_a_registration(service: Service) -> None:
    reply = await service.register(ADDRESS, version="7.0.3\x00<script>" + "x" * 300, distribution="\t\r\n")
    assert_registered(reply)
    [(version, order, distribution)] = await service.rows(
        "SELECT version, version_order, distribution FROM installation"
    )
    assert version.startswith("7.0.3<script>x")
    assert len(version) == 64
    assert (order, distribution) == (None, None)


async def test_other_methods_and_paths_have_the_same_shape(service: Service) -> None:
    reply = await service.get("/api/registration")
    assert_error(reply, 405, "MethodNotAllowedException")
    assert reply.headers["allow"] == "POST"
    assert_error(await service.get("/api/nothing"), 404, "NotFoundException")


async def test_one_address_at_the_same_instant_from_two_processes_is_one_row(new_service: NewService) -> None:
    services = [await new_service(), await new_service()]
    replies = await asyncio.gather(*(service.register(ADDRESS) for service in services for _ in range(10)))
    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 19
    assert await services[0].rows("SELECT COUNT(*) FROM subscriber") == [(1,)]
    assert await services[0].rows("SELECT COUNT(*) FROM installation") == [(1,)]


async def test_many_addresses_at_once_from_three_processes(new_service: NewService) -> None:
    services = [await new_service() for _ in range(3)]
    addresses = [f"user{number}@clinic{number % 7}.example.org" for number in range(60)]
    replies = await asyncio.gather(
        *(service.register(email, version="7.0.3") for service in services for email in addresses)
    )
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["productId"] for reply in replies}) == 180
    assert await services[0].rows("SELECT COUNT(*) FROM subscriber") == [(60,)]
    assert await services[0].rows("SELECT COUNT(*) FROM installation") == [(180,)]


async def test_registering_again_after_opting_out_answers_201_and_stays_out(service: Service) -> None:
    assert_registered(await service.register(ADDRESS, version="7.0.3"))
    [(token,)] = await service.rows("SELECT token FROM subscriber")
    assert (await service.post(f"/unsubscribe/{token}")).status_code == 200
    assert_registered(await service.register(ADDRESS, version="8.0.0"))
    assert await service.rows("SELECT status FROM subscriber") == [("opted_out",)]


async def test_last_seen_moves_when_an_address_comes_back(service: Service) -> None:
    await service.register(ADDRESS)
    old = "2020-01-01 00:00:00.000000"
    async with service.database.read() as connection:
        await connection.exec_driver_sql(f"UPDATE installation SET first_seen_at = '{old}'")
        for table in ("subscriber", "installation"):
            await connection.exec_driver_sql(f"UPDATE {table} SET last_seen_at = '{old}'")
    assert_error(await service.register(ADDRESS), 409, "AlreadyRegisteredException")
    [(subscriber_seen,)] = await service.rows("SELECT last_seen_at FROM subscriber")
    [(first_seen, last_seen)] = await service.rows("SELECT first_seen_at, last_seen_at FROM installation")
    assert str(subscriber_seen) > "2026"
    assert str(last_seen) > "2026"
    assert str(first_seen).startswith("2020")


async def test_the_registering_address_is_kept_as_a_keyed_hash_with_an_end(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_CLIENT_ADDRESS_DAYS="7")
    await service.register(ADDRESS)
    [(client_hash, expires, first)] = await service.rows(
        "SELECT client_hash, client_hash_expires_at, first_seen_at FROM installation"
    )
    key = resolve_keys(service.settings).stored
    assert key is not None
    assert client_hash == keyed_hash(key, "client", "192.0.2.1")
    assert str(first) < str(expires)
    assert str(expires)[:10] != str(first)[:10]


async def test_without_a_key_no_registering_address_is_kept(new_service: NewService) -> None:
    service = await new_service(HOSTEMR_SECRET_KEY="")
    await service.register(ADDRESS)
    assert await service.rows("SELECT client_hash, client_hash_expires_at FROM installation") == [(None, None)]


async def test_replies_are_compact_json_that_no_cache_keeps(service: Service) -> None:
    reply = await service.register(ADDRESS)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.content == json.dumps(reply.json(), separators=(",", ":")).encode()
