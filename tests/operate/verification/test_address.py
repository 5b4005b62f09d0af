"""What an operator may type as the address."""

from __future__ import annotations

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.verification.address import parse_address


@pytest.mark.parametrize(
    ("typed", "base", "port"),
    [
        ("https://emr.example.org", "https://emr.example.org", 443),
        ("emr.example.org", "https://emr.example.org", 443),
        ("my-alb-1.us-east-1.elb.amazonaws.com/", "https://my-alb-1.us-east-1.elb.amazonaws.com", 443),
        ("https://emr.example.org:8443/", "https://emr.example.org:8443", 8443),
        ("http://192.0.2.7", "http://192.0.2.7", 80),
        ("https://[2001:db8::7]/", "https://[2001:db8::7]", 443),
        ("https://emr.example.org/openemr/", "https://emr.example.org/openemr", 443),
        ("https://emr.example.org/interface/login/login.php", "https://emr.example.org", 443),
        ("https://praxis-müller.example/äpp", "https://xn--praxis-mller-klb.example/%C3%A4pp", 443),
        ("https://mrs.example.org/openmrs/spa/home", "https://mrs.example.org", 443),
        ("https://example.org/openmrs-test/openmrs/spa", "https://example.org/openmrs-test", 443),
        ("https://example.org/portals", "https://example.org/portals", 443),
        ("https://example.org/emr/index.php", "https://example.org/emr", 443),
    ],
)
def test_a_page_that_was_copied_from_the_browser_will_do(typed: str, base: str, port: int) -> None:
    address = parse_address(typed)
    assert (address.base, address.port) == (base, port)
    assert address.connect == (address.host, port)


def test_connections_may_go_elsewhere_while_the_name_stays() -> None:
    address = parse_address("https://emr.example.org", "my-alb-1.us-east-1.elb.amazonaws.com")
    assert address.connect == ("my-alb-1.us-east-1.elb.amazonaws.com", 443)
    assert address.authority == "emr.example.org"
    assert parse_address("https://emr.example.org", "127.0.0.1:8443").connect == ("127.0.0.1", 8443)


@pytest.mark.parametrize(
    "typed",
    [
        "ftp://emr.example.org",
        "https://",
        "https://emr.example.org:99999",
        "https://emr.example.org:0",
        "https://emr example",
        "https://e.org/?a=1",
        "https://" + "a" * 64 + ".org",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_address(typed)
    assert repr(typed) in refused.value.message
    assert "https://emr.example.org" in refused.value.hint


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        parse_address("https://admin:s3cret@emr.example.org", "bad host")
    assert "s3cret" not in str(refused.value)
    assert len(refused.value.problems) == 2
