"""The console's pages of registrations: what they show to whom, what they do, and what they refuse."""

from __future__ import annotations

import json
import re

import pytest

from hostemr.registration.board.roles import ROLES
from tests.registration.conftest import NewService, Service
from tests.registration.console import SETTINGS, Visitor, text_of, visitor
from tests.registration.feedback.subscribers import deliver
from tests.registration.installations.rows import NOON, add

pytestmark = pytest.mark.anyio

LIST = "/board/registrations"
MARKUP = '<script>alert("1")</script><img src=x onerror=alert(1)>'


@pytest.fixture
async def service(new_service: NewService) -> Service:
    return await new_service(**SETTINGS)


@pytest.fixture
async def ada(service: Service) -> Visitor:
    return await visitor(service)


def numbers_in(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'href="/board/registrations/(\d+)"', page)]


async def entries(service: Service) -> list[tuple[str, str, str]]:
    rows = await service.rows("SELECT actor, action, subject, details FROM audit_entry ORDER BY number")
    return [(actor, action, subject) for actor, action, subject, _ in rows]


async def test_an_empty_list_says_how_it_fills(ada: Visitor) -> None:
    page = await ada.get(LIST)
    assert page.status_code == 200
    assert "Nobody has registered yet" in text_of(page.text)
    assert "Export as CSV" not in page.text
    filtered = text_of((await ada.get(f"{LIST}?state=bounced")).text)
    assert "Nothing matches" in filtered


async def test_pages_lead_from_the_newest_to_the_oldest(service: Service, ada: Visitor) -> None:
    numbers = [await add(service, f"user{turn}@example.org", ("8.0.0", "docker")) for turn in range(52)]
    first = await ada.get(LIST)
    assert numbers_in(first.text) == numbers[:1:-1]
    assert "50 shown" in text_of(first.text)
    following = re.search(r'href="([^"]+)" rel="next"', first.text)
    assert following is not None
    second = await ada.get(following[1])
    assert numbers_in(second.text) == numbers[1::-1]
    assert 'rel="next"' not in second.text
    assert "Back to the first" in second.text


async def test_filters_are_kept_in_the_form_and_in_the_links(service: Service, ada: Visitor) -> None:
    for turn in range(51):
        await add(service, f"user{turn}@example.org", ("7.0.3", "docker & co"))
    await add(service, "new@example.org", ("8.0.0", "docker & co"))
    page = await ada.get(LIST, params={"relation": "older", "version": "8.0.0", "distribution": "docker & co"})
    assert "new@example.org" not in page.text
    assert 'value="docker &amp; co"' in page.text
    following = re.search(r'href="([^"]+)" rel="next"', page.text)
    assert following is not None
    last = await ada.get(following[1].replace("&amp;", "&"))
    assert len(numbers_in(last.text)) == 1


async def test_a_filter_that_makes_no_sense_is_explained_beside_its_field(service: Service, ada: Visitor) -> None:
    await add(service, "a@example.org")
    fields = {"state": "nonsense", "relation": "older", "version": "new", "domain": "no domain"}
    page = await ada.get(LIST, params=fields)
    assert page.status_code == 422
    for name in ("state", "version", "domain"):
        assert f'id="{name}-problem"' in page.text
    assert 'value="no domain"' in page.text
    assert numbers_in(page.text) == []
    assert (await ada.get(f"{LIST}?relation=is")).status_code == 422
    assert (await ada.get(f"{LIST}?relation=nonsense")).status_code == 422


async def test_a_page_that_nobody_linked_to_is_a_page(service: Service, ada: Visitor) -> None:
    await add(service, "a@example.org")
    for before in ("0", "-1", "x", "9" * 30, "1e3", "²"):
        assert (await ada.get(LIST, params={"before": before})).status_code == 200


async def test_the_box_finds_by_number_product_id_address_and_domain(service: Service, ada: Visitor) -> None:
    number = await add(service, "Info@clinic.example.org", ("8.0.0", None))
    [(product_id,)] = await service.rows("SELECT product_id FROM installation")
    for text in (str(number), f"#{number}", product_id, product_id.upper(), " info@CLINIC.example.org "):
        found = await ada.post(f"{LIST}/find", {"box": text})
        assert (found.status_code, found.headers["location"]) == (303, f"{LIST}/{number}"), text
    domain = await ada.post(f"{LIST}/find", {"box": "@Clinic.example.org"})
    assert domain.headers["location"] == f"{LIST}?domain=clinic.example.org"
    assert numbers_in((await ada.get(domain.headers["location"])).text) == [number]


async def test_the_box_finds_the_beginning_of_addresses_and_keeps_it_out_of_links(
    service: Service, ada: Visitor
) -> None:
    for turn in range(51):
        await add(service, f"user{turn:02}@example.org")
    page = await ada.post(f"{LIST}/find", {"box": "USER"})
    assert page.status_code == 200
    assert len(numbers_in(page.text)) == 50
    assert not re.search(r'(?:href|action)="[^"]*(?:USER|user)', page.text)
    last = await ada.post(f"{LIST}/find", {"box": "USER", "after": "user49@example.org"})
    assert "user50@example.org" in last.text
    assert len(numbers_in(last.text)) == 1


async def test_what_is_not_there_is_said_so(service: Service, ada: Visitor) -> None:
    await add(service, "a@example.org")
    for text in ("nobody", "99", "@none.example.org", "nobody@example.org", "9" * 19, "%", "' OR 1=1"):
        found = await ada.post(f"{LIST}/find", {"box": text})
        if found.status_code == 303:
            found = await ada.get(found.headers["location"])
        assert found.status_code == 200
        assert re.search("Nothing (found|matches)", text_of(found.text)), text


async def test_what_cannot_be_looked_for_is_explained_and_kept(ada: Visitor) -> None:
    for text in ("", "   ", "x" * 300, "@", "@no domain", "naïve"):
        page = await ada.post(f"{LIST}/find", {"box": text})
        assert page.status_code == 422
        assert 'id="box-problem"' in page.text
        assert f'value="{text}"' in page.text


async def test_a_viewer_sees_shortened_addresses_and_cannot_guess_them(service: Service) -> None:
    number = await add(service, "info@clinic.example.org", ("8.0.0", None))
    await deliver(service, error="550 info@clinic.example.org is full")
    viewer = await visitor(service, "viewer")
    for path in (LIST, f"{LIST}/{number}", "/board/suppression"):
        page = await viewer.get(path)
        assert "info@" not in page.text
    assert "i…@clinic.example.org" in (await viewer.get(LIST)).text
    for text in ("info@clinic.example.org", "info", "i"):
        refused = await viewer.post(f"{LIST}/find", {"box": text})
        assert refused.status_code == 422
        assert f"{LIST}/{number}" not in refused.text
    assert (await viewer.post(f"{LIST}/find", {"box": str(number)})).status_code == 303


async def test_one_registration_is_shown_with_everything_but_its_secret(service: Service, ada: Visitor) -> None:
    number = await add(service, "info@example.org", ("7.0.3", "docker"), ("8.0.0", None))
    await deliver(service, "The patch", feedback="soft_bounce", error="over quota")
    [(token,)] = await service.rows("SELECT token FROM subscriber")
    page = await ada.get(f"{LIST}/{number}")
    shown = text_of(page.text)
    for text in ("info@example.org", "7.0.3", "docker", "8.0.0", "The patch", "not delivered for now", "over quota"):
        assert text in shown
    assert token not in page.text, "whoever has it can opt this address out and in"


async def test_markup_that_clients_sent_is_only_text(service: Service, ada: Visitor) -> None:
    number = await add(service, "x@example.org", (MARKUP, MARKUP))
    await deliver(service, "<img src=x onerror=alert(1)>", error=MARKUP)
    pages = [await ada.get(LIST), await ada.get(f"{LIST}/{number}"), await ada.get(f"{LIST}/{number}/erase")]
    pages.append(await ada.get(LIST, params={"distribution": MARKUP, "version": MARKUP, "domain": MARKUP}))
    pages.append(await ada.post(f"{LIST}/find", {"box": MARKUP}))
    pages.append(await ada.post(f"{LIST}/{number}/erase", {"word": MARKUP}))
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_a_registration_that_is_not_there(ada: Visitor) -> None:
    for number in ("0", "12345", "9" * 18, "9" * 40):
        for path in (f"{LIST}/{number}", f"{LIST}/{number}/erase"):
            assert (await ada.get(path)).status_code == 404
        for path in ("enable", "export", "erase"):
            assert (await ada.post(f"{LIST}/{number}/{path}", {"reason": "x", "word": "erase"})).status_code == 404


async def test_a_bounced_address_gets_mail_again_with_a_reason(service: Service, ada: Visitor) -> None:
    number = await add(service, "a@example.org", status="bounced", soft_bounces=3)
    assert "3 times in a row" in text_of((await ada.get(f"{LIST}/{number}")).text)
    for reason in ("", "  ", "x" * 301):
        refused = await ada.post(f"{LIST}/{number}/enable", {"reason": reason})
        assert refused.status_code == 422
        assert 'id="reason-problem"' in refused.text
    done = await ada.post(f"{LIST}/{number}/enable", {"reason": "a@example.org wrote to us"})
    assert (done.status_code, done.headers["location"]) == (303, f"{LIST}/{number}")
    assert "Mail goes to this address again" in text_of((await ada.get(f"{LIST}/{number}")).text)
    assert await service.rows("SELECT status, soft_bounces FROM subscriber") == [("active", 0)]
    [(actor, action, subject, details)] = await service.rows("SELECT actor, action, subject, details FROM audit_entry")
    assert (actor, action, subject) == (f"member:{ada.member_id}", "registration.enable", f"registration:{number}")
    assert details == '{"reason":"<address> wrote to us"}'


async def test_who_stopped_both_kinds_of_mail_gets_none_after_a_bounce_is_forgotten(
    service: Service, ada: Visitor
) -> None:
    stopped = {"security_opted_out_at": NOON, "news_opted_out_at": NOON}
    number = await add(service, "a@example.org", status="bounced", **stopped)
    await ada.post(f"{LIST}/{number}/enable", {"reason": "the mailbox is there again"})
    shown = text_of((await ada.get(f"{LIST}/{number}")).text)
    assert "still no mail is sent" in shown
    assert "Mail goes to this address again" not in shown


async def test_who_opted_out_while_the_address_bounced_stays_opted_out(service: Service, ada: Visitor) -> None:
    number = await add(service, "a@example.org", status="bounced", opted_out_at=NOON)
    assert "has also opted out" in text_of((await ada.get(f"{LIST}/{number}")).text)
    await ada.post(f"{LIST}/{number}/enable", {"reason": "the mailbox is there again"})
    assert await service.rows("SELECT status FROM subscriber") == [("opted_out",)]
    assert "still no mail is sent" in text_of((await ada.get(f"{LIST}/{number}")).text)


async def test_the_board_enables_nobody_who_did_not_bounce(service: Service, ada: Visitor) -> None:
    for status in ("active", "opted_out", "complained"):
        number = await add(service, f"{status}@example.org", status=status)
        page = await ada.get(f"{LIST}/{number}")
        assert "Let mail go again" not in text_of(page.text)
        assert ("cannot undo that" in text_of(page.text)) == (status != "active")
        refused = await ada.post(f"{LIST}/{number}/enable", {"reason": "please"})
        assert refused.status_code == 409
        assert await service.rows(f"SELECT status FROM subscriber WHERE id = {number}") == [(status,)]
    assert await entries(service) == []


async def test_erasing_shows_what_will_happen_and_asks_for_the_word(service: Service, ada: Visitor) -> None:
    number = await add(service, "info@example.org", ("8.0.0", "docker"), status="opted_out")
    await deliver(service)
    asked = text_of((await ada.get(f"{LIST}/{number}/erase")).text)
    assert "1 installation with version" in asked
    assert "1 mail sent to it" in asked
    assert "keyed hash of the address stays" in asked
    for word in ("", "yes"):
        refused = await ada.post(f"{LIST}/{number}/erase", {"word": word})
        assert refused.status_code == 422
        assert f'value="{word}"' in refused.text
    assert await service.rows("SELECT status FROM subscriber") == [("opted_out",)]
    done = await ada.post(f"{LIST}/{number}/erase", {"word": " Erase "})
    assert (done.status_code, done.headers["location"]) == (303, LIST)
    assert f"Registration {number} is erased." in text_of((await ada.get(LIST)).text)
    assert await service.rows("SELECT email, status FROM subscriber") == [("", "erased")]
    assert await service.rows("SELECT COUNT(*) FROM installation") == [(0,)]
    assert await entries(service) == [(f"member:{ada.member_id}", "registration.erase", f"registration:{number}")]
    assert "info@" not in str(await service.rows("SELECT * FROM audit_entry"))
    assert (await ada.post(f"{LIST}/{number}/erase", {"word": "erase"})).status_code == 404


async def test_who_has_not_shown_to_be_there_erases_nobody(service: Service) -> None:
    number = await add(service, "info@example.org")
    late = await visitor(service, confirmed=False)
    asked = await late.post(f"{LIST}/{number}/erase", {"word": "erase"})
    assert "Confirm it is you" in text_of(asked.text)
    assert await service.rows("SELECT status FROM subscriber") == [("active",)]


async def test_one_registration_is_exported_for_its_owner(service: Service, ada: Visitor) -> None:
    number = await add(service, "info@example.org", ("8.0.0", "docker"))
    reply = await ada.post(f"{LIST}/{number}/export")
    assert reply.headers["content-disposition"] == f'attachment; filename="registration-{number}.json"'
    found = json.loads(reply.content)
    assert found["subscriber"]["email"] == "info@example.org"
    assert found["installations"][0]["version"] == "8.0.0"
    assert await entries(service) == [(f"member:{ada.member_id}", "registration.export", f"registration:{number}")]


async def test_other_roles_see_no_button_and_are_refused(service: Service) -> None:
    number = await add(service, "info@example.org", status="bounced")
    for role in ROLES[:-1]:
        member = await visitor(service, role)
        for path in (LIST, f"{LIST}/{number}"):
            assert not re.search(r'action="[^"]*/(?:enable|export|erase)"', (await member.get(path)).text)
        assert (await member.get(f"{LIST}/{number}/erase")).status_code == 403
        for path in (f"{LIST}/{number}/enable", f"{LIST}/{number}/export", f"{LIST}/{number}/erase", f"{LIST}/export"):
            assert (await member.post(path, {"reason": "x", "word": "erase"})).status_code == 403
    assert await service.rows("SELECT status FROM subscriber") == [("bounced",)]
    assert await entries(service) == []


async def test_forms_of_other_sites_are_refused(service: Service, ada: Visitor) -> None:
    number = await add(service, "info@example.org", status="bounced")
    fields = {"reason": "x", "word": "erase", "box": "info"}
    for path in (
        f"{LIST}/{number}/enable",
        f"{LIST}/{number}/export",
        f"{LIST}/{number}/erase",
        f"{LIST}/export",
        f"{LIST}/find",
    ):
        foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert (await ada.post(path, fields, headers=foreign)).status_code == 403
        assert (await ada.post(path, {**fields, "csrf": "0" * 64})).status_code == 403
    assert await service.rows("SELECT status FROM subscriber") == [("bounced",)]


async def test_nobody_sees_a_page_without_signing_in(service: Service, ada: Visitor) -> None:
    number = await add(service, "info@example.org")
    ada.client.cookies.clear()
    for path in (LIST, f"{LIST}/{number}", f"{LIST}/{number}/erase", "/board/suppression"):
        reply = await ada.get(path)
        assert reply.status_code == 303
        assert reply.headers["location"].startswith("/board/sign-in")
