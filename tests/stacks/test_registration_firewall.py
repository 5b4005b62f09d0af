"""The registration service's firewall: whom it lets in, whom it does not, decided from the template itself."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from hostemr.registration.advisories import feed
from hostemr.registration.board.members import join_url
from hostemr.registration.board.shell import HOME
from hostemr.registration.board.shell import SIGN_IN as SIGN_IN_PAGE
from hostemr.registration.feedback import webhook
from hostemr.registration.links import subscribe_url, unsubscribe_url
from hostemr.stacks.registration_firewall import BOARD, BROADCAST, OPEN_TO_ALL, SIGN_IN, TOKENS
from hostemr.stacks.registration_reports import WEBHOOK
from tests.peers import php_clients
from tests.stacks.registration import SAMPLES, single, synthesize
from tests.stacks.waf import ALL_BODIES, GROUPS, MOST_CAPACITY, Request, Waf, capacity

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/145", "Host": "reg.open-emr.org"}
BAD_ADDRESS = frozenset({"AWSManagedIPReputationList", "AWSManagedReconnaissanceList"})
LIMIT = 2000


@pytest.fixture
def waf() -> Waf:
    return Waf(synthesize(SAMPLES["default"]).service)


@pytest.fixture
def narrow() -> Waf:
    """Only 203.0.113.0/24 and 2001:db8::/48 reach the console."""
    return Waf(synthesize(SAMPLES["everything"]).service)


def sns(**changes: Any) -> Request:
    agent = {"User-Agent": "Amazon Simple Notification Service Agent", "Content-Type": "text/plain; charset=UTF-8"}
    return Request("POST", WEBHOOK, agent, ip="54.240.197.1", **changes)


@contextmanager
def recorded() -> Iterator[tuple[str, list[Request]]]:
    """A server that writes down what reaches it, and answers as the service does."""
    seen: list[Request] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            seen.append(Request("POST", self.path.partition("?")[0], dict(self.headers.items())))
            body = b'{"productId":"0f0e0d0c-1111-4222-8333-444455556666","status":"success"}'
            self.send_response(201 if "registration" in self.path else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestClinics:
    @pytest.mark.skipif(not php_clients.installed(), reason="needs PHP with cURL")
    @pytest.mark.parametrize(
        ("script", "options"),
        [
            ("register_5_0_0.php", {"email": " Ü@klinik.example "}),
            ("register_5_0_2.php", {"email": "a@b.example"}),
            ("register_7_0_4.php", {"email": "a@b.example"}),
            ("register_8.php", {"email": "a@b.example"}),
        ],
    )
    def test_what_each_generation_of_openemr_sends_gets_in(
        self, waf: Waf, script: str, options: Mapping[str, str]
    ) -> None:
        with recorded() as (url, seen):
            php_clients.run_client(script, url, **options)
        [request] = seen
        assert "user-agent" not in {name.lower() for name in request.headers}, "or this test says nothing"
        assert waf.blocked_by(request) is None
        assert waf.counted == {"NoUserAgent_HEADER"}

    def test_no_body_keeps_a_clinic_out(self, waf: Waf) -> None:
        for path in ("/api/registration", "/api/registration/", "/api/usage"):
            assert waf.blocked_by(Request("POST", path, matches=ALL_BODIES)) is None
        assert waf.counted == {*ALL_BODIES, "NoUserAgent_HEADER"}

    def test_a_clinic_at_an_address_of_ill_repute_gets_in(self, waf: Waf) -> None:
        assert waf.blocked_by(Request("POST", "/api/registration", matches=BAD_ADDRESS)) is None
        assert waf.blocked_by(Request("POST", "/api/usage", matches=BAD_ADDRESS)) is None
        assert waf.counted >= BAD_ADDRESS

    def test_whoever_gets_mail_can_leave_and_read_from_everywhere(self, waf: Waf) -> None:
        for method, path in (
            ("POST", "/unsubscribe/token/advisories"),
            ("GET", "/subscribe/token"),
            ("GET", "/advisories"),
            ("GET", feed.PATH),
        ):
            assert waf.blocked_by(Request(method, path, matches=BAD_ADDRESS)) is None, path

    def test_one_address_may_not_ask_without_end(self, waf: Waf) -> None:
        request = Request("POST", "/api/registration")
        assert {waf.blocked_by(request) for _ in range(LIMIT)} == {None}
        assert waf.blocked_by(request) == "RequestsPerAddress"
        assert waf.blocked_by(Request("POST", "/api/registration", ip="198.51.100.21")) is None

    def test_without_a_limit_nobody_is_counted(self) -> None:
        waf = Waf(synthesize(single("waf_rate_limit")).service)
        assert {waf.blocked_by(Request("POST", "/api/usage")) for _ in range(2 * LIMIT)} == {None}


class TestReportsOfMail:
    def test_a_flood_of_five_hundred_a_second_gets_in(self, waf: Waf) -> None:
        request = sns(matches=ALL_BODIES)
        assert {waf.blocked_by(request) for _ in range(5 * 500)} == {None}

    def test_every_path_of_the_webhook_and_no_other_is_free_of_the_limit(self, waf: Waf) -> None:
        for path in (WEBHOOK, f"{WEBHOOK}/"):
            assert {waf.blocked_by(Request("POST", path)) for _ in range(LIMIT + 1)} == {None}
        for path in (f"{WEBHOOK}x", f"{WEBHOOK}/x", f"/x{WEBHOOK}", f"{WEBHOOK}/../../usage"):
            address = f"198.51.100.{len(path)}"
            found = [waf.blocked_by(Request("POST", path, ip=address)) for _ in range(LIMIT + 1)]
            assert found[-1] == "RequestsPerAddress", path


class TestTheBoard:
    def test_an_advisory_that_quotes_attacks_can_be_written(self, waf: Waf) -> None:
        request = Request("POST", "/board/broadcasts/7", BROWSER, matches=ALL_BODIES)
        assert waf.blocked_by(request) is None

    def test_an_address_with_an_apostrophe_can_be_looked_for(self, waf: Waf) -> None:
        found = frozenset({"SQLi_QUERYARGUMENTS", "SQLiExtendedPatterns_QUERYARGUMENTS"})
        assert waf.blocked_by(Request("GET", "/board/registrations", BROWSER, matches=found)) is None

    def test_an_address_of_ill_repute_does_not_reach_the_console(self, waf: Waf) -> None:
        for path in (HOME, SIGN_IN_PAGE, "/%62oard", "/"):
            assert waf.blocked_by(Request("GET", path, BROWSER, matches=BAD_ADDRESS)) in BAD_ADDRESS, path

    @pytest.mark.parametrize("path", [SIGN_IN_PAGE, f"{SIGN_IN_PAGE}/", "/board/sign%2din", BROADCAST])
    def test_who_guesses_passwords_or_the_pin_is_stopped(self, waf: Waf, path: str) -> None:
        request = Request("POST", path, BROWSER)
        assert {waf.blocked_by(request) for _ in range(100)} == {None}
        assert waf.blocked_by(request) == "SecretsPerAddress"

    def test_looking_at_the_sign_in_page_is_no_guess(self, waf: Waf) -> None:
        assert {waf.blocked_by(Request("GET", SIGN_IN_PAGE, BROWSER)) for _ in range(500)} == {None}

    @pytest.mark.parametrize("path", [HOME, "/board/", SIGN_IN_PAGE, "/board/join/token", "/%62oard", "/./board"])
    def test_from_elsewhere_nobody_reaches_it(self, narrow: Waf, path: str) -> None:
        for ip in ("198.51.100.20", "203.0.114.1", "2001:db9::1"):
            for method in ("GET", "POST"):
                assert narrow.blocked_by(Request(method, path, BROWSER, ip=ip)) == "BoardFromElsewhere"

    @pytest.mark.parametrize("ip", ["203.0.113.7", "2001:db8:0:ffff::1"])
    def test_from_its_networks_it_is_reached(self, narrow: Waf, ip: str) -> None:
        assert narrow.blocked_by(Request("GET", SIGN_IN_PAGE, BROWSER, ip=ip)) is None

    def test_clinics_are_let_in_from_everywhere_all_the_same(self, narrow: Waf) -> None:
        assert narrow.blocked_by(Request("POST", "/api/registration")) is None
        assert narrow.blocked_by(sns()) is None

    @pytest.mark.parametrize(
        ("ranges", "versions"),
        [("203.0.113.0/24", ["IPV4"]), ("2001:db8::/48", ["IPV6"]), (["0.0.0.0/0", "::/0"], ["IPV4", "IPV6"])],
    )
    def test_sets_of_addresses_are_made_as_aws_takes_them(self, ranges: Any, versions: list[str]) -> None:
        template = synthesize({"board_ip_range": ranges}).service
        sets = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::WAFv2::IPSet"]
        assert [one["IPAddressVersion"] for one in sets] == versions
        # AWS WAF takes every range but /0.
        assert not any(address.endswith("/0") for one in sets for address in one["Addresses"])
        assert Waf(template).blocked_by(Request("GET", HOME, BROWSER, ip=_within(sets[0]["Addresses"][0]))) is None


def _within(network: str) -> str:
    return network.partition("/")[0]


class TestTheRulesThemselves:
    def test_the_paths_are_the_services_own(self) -> None:
        assert (BOARD, SIGN_IN, WEBHOOK) == (HOME, SIGN_IN_PAGE, webhook.PATH)

    def test_every_override_names_a_rule_that_there_is(self, waf: Waf) -> None:
        """AWS WAF says nothing of one that names no rule (API_RuleActionOverride.html)."""
        for rule in waf.rules:
            group = rule["Statement"].get("ManagedRuleGroupStatement", {})
            for override in group.get("RuleActionOverrides", []):
                assert override["Name"] in GROUPS[group["Name"]]

    def test_what_no_client_sends_is_blocked(self, waf: Waf) -> None:
        for name in ("UserAgent_BadBots_HEADER", "Log4JRCE_HEADER", "GenericLFI_URIPATH", "SQLi_COOKIE"):
            request = Request("POST", "/api/registration", BROWSER, matches=frozenset({name}))
            assert waf.blocked_by(request) == name

    @pytest.mark.parametrize("sample", ["default", "everything"])
    def test_they_cost_no_more_than_a_web_acl_includes(self, sample: str) -> None:
        rules = Waf(synthesize(SAMPLES[sample]).service).rules
        assert 1125 < capacity(rules) <= MOST_CAPACITY

    def test_the_log_has_no_secret_and_samples_are_not_kept(self) -> None:
        template = synthesize(SAMPLES["default"]).service["Resources"]
        [logging] = [
            one["Properties"] for one in template.values() if one["Type"] == "AWS::WAFv2::LoggingConfiguration"
        ]
        hidden = [str(one) for one in logging["RedactedFields"]]
        assert all(any(word in one for one in hidden) for word in ("authorization", "cookie", "QueryString"))
        [acl] = [one["Properties"] for one in template.values() if one["Type"] == "AWS::WAFv2::WebACL"]
        assert not any(rule["VisibilityConfig"]["SampledRequestsEnabled"] for rule in acl["Rules"])

    @pytest.mark.parametrize("path", ["/board/join/x", "/unsubscribe/x", "/subscribe/x", "/%75nsubscribe/x/advisories"])
    def test_the_log_leaves_out_what_has_a_secret_in_its_path(self, narrow: Waf, path: str) -> None:
        template = synthesize(SAMPLES["everything"]).service["Resources"]
        [logging] = [
            one["Properties"] for one in template.values() if one["Type"] == "AWS::WAFv2::LoggingConfiguration"
        ]
        [dropped] = logging["LoggingFilter"]["Filters"]
        assert (logging["LoggingFilter"]["DefaultBehavior"], dropped["Behavior"]) == ("KEEP", "DROP")
        [condition] = dropped["Conditions"]
        parts = condition["LabelNameCondition"]["LabelName"]["Fn::Join"][1]
        # Whoever is blocked by another rule carries the label already.
        narrow.blocked_by(Request("GET", path))
        assert {parts[-1]} == {f":{label}" for label in narrow.labels}
        assert parts[:3] == ["awswaf:", {"Ref": "AWS::AccountId"}, ":webacl:"]

    def test_the_log_has_everything_else(self, waf: Waf) -> None:
        for path in ("/api/registration", WEBHOOK, HOME, SIGN_IN_PAGE, "/advisories/x"):
            waf.blocked_by(Request("POST", path))
        assert waf.labels == set()

    def test_the_secret_paths_are_the_services_own(self) -> None:
        for url in (unsubscribe_url("", "x", "security"), subscribe_url("", "x"), join_url("", "x")):
            assert re.match(TOKENS, url), url

    def test_it_stands_before_the_load_balancer(self) -> None:
        template = synthesize(SAMPLES["default"]).service["Resources"]
        [link] = [one["Properties"] for one in template.values() if one["Type"] == "AWS::WAFv2::WebACLAssociation"]
        assert template[link["ResourceArn"]["Ref"]]["Type"] == "AWS::ElasticLoadBalancingV2::LoadBalancer"

    def test_without_it_nothing_of_it_is_made(self) -> None:
        template = synthesize(SAMPLES["least"]).service["Resources"]
        assert not [one for one in template.values() if one["Type"].startswith("AWS::WAFv2")]

    def test_the_open_paths_do_not_reach_into_the_console(self, waf: Waf) -> None:
        assert BOARD not in OPEN_TO_ALL
        request = Request("GET", "/api/../board/sign-in", BROWSER, matches=BAD_ADDRESS)
        assert waf.blocked_by(request) in BAD_ADDRESS
