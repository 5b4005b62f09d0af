"""What the owner of an address is told of it: all of it, and nothing of anybody else's."""

from __future__ import annotations

import json

import pytest

from hostemr.registration.feedback.export import export
from hostemr.registration.keys import resolve_keys
from hostemr.registration.schema import delivery, installation, subscriber
from tests.registration.conftest import Service
from tests.registration.feedback.subscribers import ADDRESS, deliver, erase, registered, token_of

pytestmark = pytest.mark.anyio


async def test_everything_of_one_address_is_exported(service: Service) -> None:
    await registered(service, "other@clinic.example.org")
    token = await registered(service)
    await deliver(service, feedback="delivered")
    await service.post(f"/unsubscribe/{token}/news")
    await service.post(f"/unsubscribe/{token}")
    await service.register(ADDRESS, version="8.0.0", distribution="docker")
    found = await export(service.database, ADDRESS, resolve_keys(service.settings).suppression)
    assert found is not None
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"subscriber", "installations", "deliveries", "confirmation", "suppression"}
    assert set(found["subscriber"]) == set(subscriber.c.keys()), "a new column is exported too"
    assert (found["subscriber"]["email"], found["subscriber"]["status"]) == (ADDRESS, "opted_out")
    assert found["subscriber"]["news_opted_out_at"].endswith("+00:00")
    assert [set(one) for one in found["installations"]] == [set(installation.c.keys())] * 2
    assert [one["version"] for one in found["installations"]] == [None, "8.0.0"]
    [sent] = found["deliveries"]
    assert set(delivery.c.keys()) - set(sent) == {"broadcast_id", "subscriber_id", "chunk_number"}
    assert (sent["title"], sent["state"], sent["feedback"]) == ("Patch", "sent", "delivered")
    assert found["confirmation"]["sent_at"] is None
    assert found["suppression"] is None
    assert "other@" not in str(found)
    assert await token_of(service, "other@clinic.example.org") not in str(found)


async def test_of_an_erased_address_only_the_suppression_is_left(service: Service) -> None:
    key = resolve_keys(service.settings).suppression
    token = await registered(service)
    await service.post(f"/unsubscribe/{token}")
    await erase(service)
    found = await export(service.database, ADDRESS, key)
    assert found is not None
    assert found["suppression"]["status"] == "opted_out"
    assert set(found) == {"suppression"}
    assert await export(service.database, ADDRESS, None) is None
    assert await export(service.database, "other@clinic.example.org", key) is None
