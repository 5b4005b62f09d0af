"""`hostemr price` as an operator uses it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import FindingsError, OutsideWorldError, SettingsError
from hostemr.operate.price_commands import price_command
from hostemr.operate.prices.reference import reference
from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.scenarios import SCENARIOS, TERMS
from hostemr.operate.prices.usage import ASSUMPTIONS
from hostemr.operate.prices.usage_file import load_scenarios
from tests.operate.prices.offers import us_west_2
from tests.operate.prices.samples import express_plus, fargate
from tests.operate.templates import resource, template


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return _write(tmp_path / "OpenEMR-Express-Plus.json", express_plus())


def _write(path: Path, made: dict[str, Any]) -> Path:
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


def _run(*arguments: object) -> None:
    price_command.main([str(one) for one in arguments], prog_name="hostemr price", standalone_mode=False)


class TestTable:
    def test_it_shows_the_server_what_is_beyond_it_and_the_sum(
        self, written: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _run(written)
        shown = capsys.readouterr().out.splitlines()
        server, beyond = shown.index("the server:"), shown.index("beyond the server:")
        assert server < beyond
        table = shown[server + 1 : beyond - 1]
        assert len({len(line) for line in table}) == 1, "every line ends where the amounts do"
        amounts = [float(line.split()[-1]) for line in table[1:]]
        assert sum(amounts[:-1]) == pytest.approx(amounts[-1])
        assert any(line.startswith("everything: ") for line in shown)

    def test_it_says_of_when_the_prices_are_and_that_the_free_tier_is_not_counted(
        self, written: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _run(written)
        shown = capsys.readouterr().out
        assert "AWS's free tier is not counted in these sums." in shown
        assert "prices: list prices known from 2025-01-01 to 2026-08-21" in shown
        assert "from memory, so check them first: cloudwatch.requests, ec2.surplus.t3" in shown
        assert "https://aws.amazon.com/kms/pricing/" in shown
        assert "bucket_storage_gb=10: stored in a bucket" in shown
        assert "AWS::IAM::Role: IAM is free" in shown
        assert "AWS::SNS::Subscription: condition HasMail is false" in shown

    def test_several_templates_are_told_apart(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _write(tmp_path / "clinic-data.template.json", template({"Key": resource("AWS::KMS::Key")}))
        _write(tmp_path / "clinic-service.template.json", fargate(cpu=1024, memory=2048, keys=0, database=False))
        _run(tmp_path)
        shown = capsys.readouterr().out
        assert "clinic-data/Key " in shown
        assert "clinic-service/Service " in shown
        assert "the server:" not in shown


class TestJson:
    def test_it_is_whole_and_exact(self, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _run(written, "--json", "--region", "us-west-2", "--usage", "traffic_out_gb=0")
        told = json.loads(capsys.readouterr().out)
        assert list(told) == [
            "region", "currency", "hours_per_month", "prices_as_of", "monthly", "monthly_with_free_tier", "groups",
            "lines", "free", "not_created", "not_priced", "usage", "prices", "components",
        ]  # fmt: skip
        assert told["region"] == "us-west-2"
        assert told["lines"][0] == {
            "template": str(written),
            "resource": "Server",
            "type": "AWS::AutoScaling::AutoScalingGroup",
            "group": "the server",
            "what": "instance t3.small, on demand",
            "quantity": "730",
            "unit": "hour",
            "price": "ec2.t3.small",
            "assumption": None,
            "monthly": "15.18",
        }
        assert told["usage"]["traffic_out_gb"] == "0"
        known = {one["key"]: one for one in told["prices"]}
        assert known["kms.key"] == {
            "key": "kms.key",
            "dollars": "1",
            "per": 1,
            "unit": "month",
            "free_per_month": "0",
            "as_of": "2026-06-13",
            "basis": "looked up",
            "source": "https://aws.amazon.com/kms/pricing/",
        }
        assert {line["price"] for line in told["lines"]} == known.keys()
        assert [group["group"] for group in told["groups"]] == ["the server", "beyond the server"]

    def test_assumptions_can_be_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        _run("--assumptions", "--json")
        assert {"name": "kms_requests", "default": "5000", "meaning": "requests to a key"} in json.loads(
            capsys.readouterr().out
        )
        _run("--assumptions")
        assert "kms_requests=5000" in capsys.readouterr().out


class TestExit:
    def test_strict_finds_what_has_no_price(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = _write(tmp_path / "t.json", template({"Graph": resource("AWS::Neptune::DBCluster")}))
        _run(path)
        assert "Graph (AWS::Neptune::DBCluster): no price is known" in capsys.readouterr().out
        with pytest.raises(FindingsError, match="cannot be priced: 1"):
            _run(path, "--strict")
        assert "Graph" in capsys.readouterr().out

    def test_strict_is_content_when_all_has_a_price(self, written: Path) -> None:
        _run(written, "--strict")

    def test_wrong_arguments_come_all_at_once(self, tmp_path: Path, written: Path) -> None:
        (tmp_path / "empty").mkdir()
        broken = tmp_path / "broken.json"
        broken.write_text("{", encoding="utf-8")
        with pytest.raises(SettingsError) as told:
            _run(written, tmp_path / "empty", tmp_path / "missing.json", broken, "--parameter", "Size", "--usage", "=1")
        assert len(told.value.problems) == 5
        assert "--parameter is 'Size'; expected NAME=VALUE" in told.value.problems
        assert any("has no *.template.json" in line for line in told.value.problems)
        assert any("missing.json: cannot be read" in line for line in told.value.problems)
        assert any("broken.json" in line for line in told.value.problems)

    def test_no_template_is_wrong_use(self) -> None:
        with pytest.raises(SettingsError, match="no TEMPLATE is given"):
            _run()


class TestSideBySide:
    def test_scenarios_make_a_column_each(self, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _run(written, "--scenario", "idle", "--scenario", "clinic")
        shown = capsys.readouterr().out.splitlines()
        table = [line.split() for line in shown[2 : shown.index("", 2)]]
        assert table[0] == ["COMPONENT", "idle", "clinic"]
        assert table[-1][0] == "total"
        assert float(table[-1][1]) < float(table[-1][2])
        assert len({len(line) for line in shown[2 : shown.index("", 2)]}) == 1, "amounts end where amounts end"

    def test_regions_make_a_column_each(self, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _run(written, "--region", "us-east-1", "--region", "us-west-2", "--scenario", "idle", "--json")
        told = json.loads(capsys.readouterr().out)
        assert told["comparison"]["columns"] == ["idle us-east-1", "idle us-west-2"]
        assert [bill["region"] for bill in told["bills"].values()] == ["us-east-1", "us-west-2"]
        assert told["comparison"]["totals"] == [bill["monthly"] for bill in told["bills"].values()]

    def test_a_file_of_scenarios_is_compared_whole(
        self, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "ours.toml"
        file.write_text("[small]\nfiles_gb = 1\ndatabase_gb = 1\n[large]\nfiles_gb = 900\ndatabase_gb = 100\n")
        _run(written, "--usage-file", file)
        assert capsys.readouterr().out.split("\n")[2].split() == ["COMPONENT", "small", "large"]
        _run(written, "--usage-file", file, "--scenario", "large", "--usage", "bucket_storage_gb=10", "--json")
        told = json.loads(capsys.readouterr().out)
        assert told["usage"]["bucket_storage_gb"] == "10", "--usage counts before a scenario"

    def test_one_bill_can_be_told_by_component(self, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _run(written, "--by", "component")
        shown = capsys.readouterr().out.splitlines()
        amounts = [float(re.findall(r"\d+\.\d\d", line)[0]) for line in shown[2:]]
        assert shown[2].split()[0] == "server"
        assert sum(amounts[:-1]) == pytest.approx(amounts[-1])

    def test_what_has_no_price_is_told_with_components_too(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = _write(tmp_path / "t.json", template({"Graph": resource("AWS::Neptune::DBCluster")}))
        _run(path, "--by", "component")
        assert "not priced, so the sums may be too low (1)" in capsys.readouterr().out
        with pytest.raises(FindingsError):
            _run(path, "--scenario", "idle", "--scenario", "clinic", "--strict")
        assert "Graph (AWS::Neptune::DBCluster)" in capsys.readouterr().out

    def test_wrong_regions_scenarios_and_files_come_all_at_once(self, written: Path, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as told:
            _run(
                written, "--region", "mars-1", "--region", "us-east-1", "--scenario", "clinics",
                "--prices", tmp_path / "none.json", "--from", "x", "--usage", "oops",
            )  # fmt: skip
        assert told.value.problems == (
            "--from is where --refresh reads; give both, or neither",
            "--usage is 'oops'; expected NAME=VALUE",
            f"--scenario is 'clinics'; expected {' or '.join(SCENARIOS)}; did you mean clinic?",
            f"{tmp_path / 'none.json'}: cannot be read: No such file or directory",
            "there are no prices for region 'mars-1'; expected us-east-1 or us-west-2",
        )

    def test_a_region_without_prices_leads_to_those_that_can_be_had(self, written: Path) -> None:
        with pytest.raises(SettingsError) as told:
            _run(written, "--region", "eu-central-1")
        assert "hostemr price --refresh FILE" in str(told.value.hint)

    def test_scenarios_are_printed_as_a_file_of_them(
        self, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name, option in (("a.toml", ()), ("a.json", ("--json",))):
            _run("--scenarios", *option)
            file = tmp_path / name
            file.write_text(capsys.readouterr().out, encoding="utf-8")
            _run(written, "--usage-file", file, "--json")
            assert json.loads(capsys.readouterr().out)["comparison"]["columns"] == list(SCENARIOS)


class TestRefresh:
    def test_a_table_is_written_and_used(
        self, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        us_west_2(tmp_path / "offers")
        table = tmp_path / "prices.json"
        _run("--refresh", table, "--from", tmp_path / "offers", "--region", "us-west-2")
        shown = capsys.readouterr()
        assert "reading AWSELB/current/us-west-2/index.json …" in shown.err
        assert "6 prices read from the price list, 3 of them new or changed" in shown.out
        assert "  ec2.t3.small in us-west-2: 0.0208 → 0.0209" in shown.out
        assert "  backup.tested in us-west-2: no product of the price list is known for it" in shown.out
        _run(written, "--prices", table, "--region", "us-west-2", "--json")
        lines = {line["price"]: line["monthly"] for line in json.loads(capsys.readouterr().out)["lines"]}
        assert lines["ec2.t3.small"] == "15.26"

    def test_json_tells_the_same_and_strict_finds_what_is_missing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        us_west_2(tmp_path / "offers")
        with pytest.raises(FindingsError, match="the list did not tell"):
            _run(
                "--refresh", tmp_path / "p.json", "--from", tmp_path / "offers", "--region", "us-west-2", "--strict",
                "--json",
            )  # fmt: skip
        told = json.loads(capsys.readouterr().out)
        assert told["read"] + len(told["not_read"]) == len(TABLE.keys)
        assert {"key": "alb.hour", "region": "us-west-2", "before": "0.0225", "after": "0.023"} in told["changed"]

    def test_wrong_use_is_told(self, written: Path, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="--refresh takes no TEMPLATE"):
            _run(written, "--refresh", tmp_path / "p.json")
        with pytest.raises(SettingsError, match="no offer file"):
            _run("--refresh", tmp_path / "p.json", "--from", tmp_path)
        with pytest.raises(SettingsError, match=r"none\.json: cannot be read"):
            _run("--refresh", tmp_path / "p.json", "--prices", tmp_path / "none.json")
        with pytest.raises(SettingsError, match=r"--from .*none: there is no such folder"):
            _run("--refresh", tmp_path / "p.json", "--from", tmp_path / "none")
        assert not (tmp_path / "p.json").exists()

    def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        us_west_2(tmp_path / "offers")
        (tmp_path / "file").touch()
        for place in (tmp_path, tmp_path / "file/prices.json"):
            with pytest.raises(OutsideWorldError, match="cannot be written"):
                _run("--refresh", place, "--from", tmp_path / "offers", "--region", "us-west-2")
        assert "reading" not in capsys.readouterr().err

    def test_a_failed_refresh_leaves_the_old_table(self, tmp_path: Path) -> None:
        old = tmp_path / "p.json"
        old.write_text("old", encoding="utf-8")
        with pytest.raises(SettingsError):
            _run("--refresh", old, "--from", tmp_path)
        assert [one.name for one in tmp_path.iterdir()] == ["p.json"]
        assert old.read_text(encoding="utf-8") == "old"


def test_every_command_of_the_guide_is_one() -> None:
    guide = (Path(__file__).parents[2] / "docs/080_prices.md").read_text(encoding="utf-8")
    commands = [
        shlex.split(line.partition(">")[0]) for line in re.findall(r"^ *(hostemr price .*)$", guide, re.MULTILINE)
    ]
    assert len(commands) > 10
    for command in commands:
        context = price_command.make_context("price", command[2:])
        scenarios = set(context.params["scenarios"])
        assert scenarios <= SCENARIOS.keys()
        assert all(one.partition("=")[0].rpartition(".")[2] in ASSUMPTIONS for one in context.params["assumed"])


def test_the_example_of_the_guide_is_a_file_of_scenarios(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/080_prices.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "ours.toml").write_text(example, encoding="utf-8")
    assert load_scenarios(tmp_path / "ours.toml")["our-practice"].amounts()["nat_processed_gb"] == 20


def test_the_reference_has_every_price_assumption_and_scenario() -> None:
    page = reference()
    for name in (*TABLE.keys, *ASSUMPTIONS):
        assert f"| `{name}` |" in page, name
    for name in SCENARIOS:
        assert f"- **{name}**: " in page
    for term in TERMS:
        assert f"| `{term}` |" in page, term
    assert page == reference()
    assert page.count("from memory |") == sum(one.basis == "from memory" for one in TABLE.prices)
