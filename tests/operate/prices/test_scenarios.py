"""Scenarios in a practice's terms, ours and those of a file."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.prices.scenarios import PRACTICES, REGISTRIES, RULES, SCENARIOS, TERMS, Scenario
from hostemr.operate.prices.usage import ASSUMPTIONS
from hostemr.operate.prices.usage_file import as_toml, chosen, load_scenarios


def _scenario(**terms: str) -> dict[str, Decimal]:
    return Scenario(name="x", meaning="", terms={name: Decimal(value) for name, value in terms.items()}).amounts()


class TestTerms:
    def test_requests_and_traffic_follow_from_people_and_hours(self) -> None:
        amounts = _scenario(people="10", open_hours="200", requests_per_hour="600", kilobytes_per_request="50")
        assert amounts["web_requests"] == 1_200_000
        assert amounts["traffic_out_gb"] == 60
        assert amounts["busy_hours"] == 200
        # 60 GB in 730 hours are more than 1.2 million connections at 25 a second
        assert amounts["load_balancer_units"] == Decimal("0.082192")

    def test_small_answers_cost_connections_rather_than_bytes(self) -> None:
        amounts = _scenario(people="10", open_hours="730", requests_per_hour="9000", kilobytes_per_request="1")
        assert amounts["load_balancer_units"] == Decimal(1)

    def test_mails_and_reports_follow_from_registrations_and_advisories(self) -> None:
        amounts = _scenario(registrations="10000", advisories="2")
        assert amounts["mails_sent"] == 20_000
        assert amounts["mail_events"] == amounts["https_notifications"] == 22_000
        # The reports come through the load balancer too, beside three requests of each installation.
        assert amounts["web_requests"] == 52_000
        assert amounts["traffic_out_gb"] == Decimal("0.104")

    def test_what_no_term_says_keeps_its_default(self) -> None:
        assert _scenario(files_gb="50") == {"files_storage_gb": 50, "files_read_gb": 10}
        assert _scenario(files_gb="0", new_files_gb="0")["files_daily_change_percent"] == 0

    def test_an_amount_counts_before_what_follows(self) -> None:
        one = Scenario(name="x", meaning="", terms={"files_gb": Decimal(50)}, usage={"files_read_gb": Decimal(1)})
        assert one.amounts()["files_read_gb"] == 1

    def test_all_that_follows_is_an_assumption_and_rests_on_terms(self) -> None:
        assert {rule.name for rule in RULES} <= ASSUMPTIONS.keys()
        assert {need for rule in RULES for need in rule.needs} == TERMS.keys()

    def test_the_shipped_practices_say_every_term(self) -> None:
        practices, services = PRACTICES[1:], REGISTRIES[1:]
        assert practices == ("small-practice", "clinic", "hospital")
        assert set(SCENARIOS) == {"idle", *practices, *services}
        of_a_service = {"registrations", "advisories", "database_gb"}
        of_a_practice = TERMS.keys() - {"registrations", "advisories"}
        assert all(SCENARIOS[name].terms.keys() == of_a_practice and SCENARIOS[name].meaning for name in practices)
        assert all(SCENARIOS[name].terms.keys() == of_a_service and SCENARIOS[name].meaning for name in services)
        assert not any(SCENARIOS["idle"].amounts().values())


class TestFile:
    def test_toml_and_json_say_the_same(self, tmp_path: Path) -> None:
        toml = tmp_path / "ours.toml"
        toml.write_text(
            '[ours]\nmeaning = "six"\nlike = "small-practice"\npeople = 6\nfiles_gb = 60.5\n'
            '[ours.usage]\n"Backups.bucket_storage_gb" = 300\n',
            encoding="utf-8",
        )
        same = tmp_path / "ours.json"
        content = {
            "meaning": "six", "like": "small-practice", "people": 6, "files_gb": 60.5,
            "usage": {"Backups.bucket_storage_gb": 300},
        }  # fmt: skip
        same.write_text(json.dumps({"ours": content}), encoding="utf-8")
        one = load_scenarios(toml)["ours"]
        assert one == load_scenarios(same)["ours"]
        assert one.terms == {**SCENARIOS["small-practice"].terms, "people": 6, "files_gb": Decimal("60.5")}
        assert one.amounts()["Backups.bucket_storage_gb"] == 300

    def test_what_is_printed_can_be_read_back(self, tmp_path: Path) -> None:
        path = tmp_path / "printed.toml"
        path.write_text(as_toml(SCENARIOS), encoding="utf-8")
        assert load_scenarios(path) == SCENARIOS

    def test_all_that_is_wrong_comes_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "wrong.toml"
        path.write_text(
            'number = 3\n[Ours]\nmeaning = 1\nlike = "clinics"\npeopel = 6\nfiles_gb = -1\nopen_hours = true\n'
            'database_gb = "many"\nzzz = 1\nusage = 4\n[second.usage]\nbucket_storage = 1\n"A.web_requests" = "x"\n'
            "mails = nan\n",
            encoding="utf-8",
        )
        with pytest.raises(SettingsError) as told:
            load_scenarios(path)
        assert [problem.removeprefix(f"{path}: ") for problem in told.value.problems] == [
            "number is 3; expected a table of terms",
            "Ours: expected a name of small letters, digits and hyphens",
            f"Ours: like is 'clinics'; expected {' or '.join(SCENARIOS)}",
            "Ours: meaning is 1; expected a text",
            "Ours: peopel is no term; did you mean people?",
            "Ours: files_gb is '-1'; expected a number of 0 or more, at most 1e15",
            "Ours: open_hours is 'True'; expected a number of 0 or more, at most 1e15",
            "Ours: database_gb is \"'many'\"; expected a number of 0 or more, at most 1e15",
            f"Ours: zzz is no term; expected {', '.join([*TERMS, 'meaning', 'like', 'usage'])}",
            "Ours: usage is 4; expected a table of amounts",
            "second: usage bucket_storage is no assumption; did you mean bucket_storage_gb?",
            "second: usage A.web_requests is \"'x'\"; expected a number of 0 or more, at most 1e15",
            "second: usage mails is no assumption; did you mean emails?",
            "second: usage mails is 'NaN'; expected a number of 0 or more, at most 1e15",
        ]

    @pytest.mark.parametrize(
        ("name", "content", "told"),
        [
            ("a.toml", b"[", "it is no TOML"),
            ("a.json", b"{", "it is no JSON"),
            ("a.json", b"[]", "expected an object"),
            ("a.json", b"[" * 100_000, "it is no JSON"),
            ("a.toml", b"", "it has no scenario"),
            ("a.toml", b"\xff", "it is not UTF-8 text"),
            ("a.toml", b" " * 1_000_001, "larger than a megabyte"),
        ],
    )
    def test_a_file_that_is_none_is_refused(self, tmp_path: Path, name: str, content: bytes, told: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SettingsError, match=told):
            load_scenarios(tmp_path / name)

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read: No such file"):
            load_scenarios(tmp_path / "none.toml")


class TestChosen:
    def test_a_name_of_the_file_counts_before_ours(self) -> None:
        own = {"clinic": Scenario(name="clinic", meaning="ours", terms={})}
        assert chosen(["clinic", "idle", "clinic"], own) == [own["clinic"], SCENARIOS["idle"]]

    def test_without_names_all_of_the_file_are_meant(self) -> None:
        own = {"ours": Scenario(name="ours", meaning="", terms={})}
        assert chosen([], own) == [own["ours"]]
        assert chosen([], {}) == []

    def test_unknown_names_are_told_with_those_there_are(self) -> None:
        with pytest.raises(SettingsError) as told:
            chosen(["clinics", "zzz"], {})
        assert told.value.problems == (
            f"--scenario is 'clinics'; expected {' or '.join(SCENARIOS)}; did you mean clinic?",
            f"--scenario is 'zzz'; expected {' or '.join(SCENARIOS)}",
        )
