"""Amounts, targets, accounts and live figures."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.loading.accounts import read_accounts
from hostemr.operate.loading.amounts import LatencyLimit, duration, latency_limit, rate, share, spoken
from hostemr.operate.loading.engine import Glance, Load
from hostemr.operate.loading.live import Live
from hostemr.operate.loading.tally import Outcome, Tally
from hostemr.operate.loading.target import parse_target
from hostemr.operate.loading.visitor import Account


class TestAmounts:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("7", 7), ("5 m", 300), ("5d", None), ("", None)],
    )
    def test_durations(self, text: str, seconds: float | None) -> None:
        assert duration(text) == seconds

    @pytest.mark.parametrize(("text", "value"), [("50/s", 50), ("300/m", 5), ("2", 2), ("0/s", None), ("5/d", None)])
    def test_rates(self, text: str, value: float | None) -> None:
        assert rate(text) == value

    @pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0%", 0), ("101%", None), ("5", None)])
    def test_shares(self, text: str, value: float | None) -> None:
        assert share(text) == value

    @pytest.mark.parametrize(
        ("text", "value"), [("p95=5s", LatencyLimit(95, 5)), ("p100=5s", None), ("p95=0s", None), ("5s", None)]
    )
    def test_latency_limits(self, text: str, value: LatencyLimit | None) -> None:
        assert latency_limit(text) == value

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0 s"),
            (0.0005, "500 µs"),
            (0.005, "5 ms"),
            (0.0052, "5.2 ms"),
            (0.25, "250 ms"),
            (0.9996, "1 s"),
            (1.5, "1.5 s"),
            (59.6, "59.6 s"),
            (90, "1 min 30 s"),
            (3600, "1 h"),
        ],
    )
    def test_times_are_said_for_people(self, seconds: float, text: str) -> None:
        assert spoken(seconds) == text


class TestTarget:
    def test_steps_go_below_the_url(self) -> None:
        target = parse_target("https://emr.example.org:8443/openmrs/")
        assert (target.root, target.host) == ("https://emr.example.org:8443/openmrs", "emr.example.org")

    def test_names_in_other_letters_are_as_dns_has_them(self) -> None:
        target = parse_target("https://Praxis-Müller.example:8443/äpp/")
        assert target.root == "https://xn--praxis-mller-klb.example:8443/%C3%A4pp"
        assert parse_target("http://[::1]:8080/").root == "http://[::1]:8080"

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "emr.example.org",
            "ftp://x",
            "http://",
            "https://x:port",
            "https://x/?a=b",
            "https://x/#a",
            "https://" + "a" * 64,
        ],
    )
    def test_what_is_no_url_is_refused(self, url: str) -> None:
        with pytest.raises(SettingsError):
            parse_target(url)

    def test_a_password_in_a_url_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(SettingsError) as caught:
            parse_target("https://ann:secret@x")
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "loopback"),
        [
            ("http://localhost:1", True),
            ("http://127.8.9.1", True),
            ("http://[::1]:8080", True),
            ("http://127.0.0.1.example.org", False),
            ("http://localhost.example.org", False),
            ("http://10.0.0.1", False),
        ],
    )
    def test_only_this_machine_is_loopback(self, url: str, loopback: bool) -> None:
        assert parse_target(url).loopback is loopback

    def test_only_named_hosts_are_allowed(self) -> None:
        target = parse_target("https://emr.example.org", ["Sign-In.example.org"])
        assert target.allows("https://sign-in.example.org/x")
        assert target.allows("https://emr.example.org:444/")
        assert not target.allows("http://emr.example.org/"), "cookies and forms would travel in the clear"
        assert parse_target("http://localhost:8080").allows("https://localhost/")
        assert not target.allows("https://example.org/")
        assert not target.allows("https://emr.example.org@evil.example/")
        assert not target.allows("file:///etc/passwd")


def _never(question: str) -> str:
    raise AssertionError(question)


class TestAccounts:
    def test_a_file_has_one_password_for_all_or_a_line_for_each(self, tmp_path: Path) -> None:
        file = tmp_path / "passwords"
        file.write_text("one\n")
        assert read_accounts(("a", "b"), file, {}, _never) == (Account("a", "one"), Account("b", "one"))
        file.write_text("one\ntwo: with colon\n")
        assert read_accounts(("a", "b"), file, {}, _never)[1] == Account("b", "two: with colon")
        with pytest.raises(SettingsError, match="2 lines; expected one for all, or 3") as caught:
            read_accounts(("a", "b", "c"), file, {}, _never)
        assert "two" not in str(caught.value)

    def test_the_environment_comes_before_the_question(self) -> None:
        assert read_accounts(("a",), None, {"HOSTEMR_LOAD_PASSWORD": "x"}, _never) == (Account("a", "x"),)
        assert read_accounts(("a", "b"), None, {}, lambda question: f"answer to {question}")[0] == Account(
            "a", "answer to Password of a, b"
        )

    def test_without_a_user_there_is_no_log_in(self) -> None:
        with pytest.raises(SettingsError, match="no --user"):
            read_accounts((), None, {}, _never)

    def test_bytes_of_a_password_are_in_no_message(self, tmp_path: Path) -> None:
        file = tmp_path / "passwords"
        file.write_bytes(b"secret\xff")
        with pytest.raises(SettingsError) as caught:
            read_accounts(("a",), file, {}, _never)
        assert "secret" not in str(caught.value)
        assert "xff" not in str(caught.value)


class TestLive:
    @staticmethod
    def _shown(live: Live, glances: int, *, failing: bool) -> None:
        tally = Tally(("page",))
        for second in range(1, glances + 1):
            error = "status 500" if failing else None
            tally.end(tally.begin(second), Outcome("page", 0.25, status=200, error=error), second)
            live(Glance(second, Load(60, 5), tally, 5, 0))
        live.done()

    def test_elsewhere_a_plain_line_comes_each_ten_seconds(self) -> None:
        stream = io.StringIO()
        self._shown(Live(stream, renewing=False, coloured=False), 25, failing=False)
        assert stream.getvalue().splitlines() == [
            "10 s of 1 min · 5 users · 1/s · p50 250 ms · p95 250 ms · 0 of 10 failed",
            "20 s of 1 min · 5 users · 1/s · p50 250 ms · p95 250 ms · 0 of 20 failed",
        ]

    def test_on_a_terminal_one_line_renews_itself_and_goes_away(self) -> None:
        stream = io.StringIO()
        self._shown(Live(stream, renewing=True, coloured=True), 3, failing=False)
        assert "\n" not in stream.getvalue()
        assert stream.getvalue().endswith("\r\x1b[K")
        assert "\x1b[31m" not in stream.getvalue()

    @pytest.mark.parametrize("coloured", [True, False])
    def test_failures_are_red_where_colours_may_be(self, coloured: bool) -> None:
        stream = io.StringIO()
        self._shown(Live(stream, renewing=True, coloured=coloured), 1, failing=True)
        assert ("\x1b[31m" in stream.getvalue()) is coloured
