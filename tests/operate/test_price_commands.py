"""`hostemr price` as an operator uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import FindingsError, SettingsError
from hostemr.operate.price_commands import price_command
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
        assert "prices: list prices known from 2025-01-01 to 2026-06-13" in shown
        assert "from memory, so check them first: cloudwatch.alarm, cloudwatch.requests, ebs.gp3" in shown
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
            "lines", "free", "not_created", "not_priced", "usage", "prices",
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
