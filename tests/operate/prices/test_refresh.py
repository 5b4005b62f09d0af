"""A new table from AWS's price list: what it tells for certain, and no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.prices.offer_file import Product
from hostemr.operate.prices.offer_filters import PREFIXES, by_service, filter_of
from hostemr.operate.prices.refresh import Folder, NoOffer, Refreshed, Web, refresh
from hostemr.operate.prices.rows.all import TABLE
from hostemr.operate.prices.table_file import load_table, write_table
from tests.operate.prices.offers import OfferFile, us_west_2


@pytest.fixture
def refreshed(tmp_path: Path) -> Refreshed:
    us_west_2(tmp_path)
    return refresh(TABLE, ["us-west-2"], Folder(tmp_path))


def _dollars(made: Refreshed, key: str, region: str = "us-west-2") -> Decimal:
    found = made.table.price(key, region)
    assert found is not None
    return found.dollars


def _reasons(made: Refreshed) -> dict[str, str]:
    return {one.key: one.reason for one in made.kept if one.region == "us-west-2"}


class TestRefresh:
    def test_a_price_takes_the_lists_figure_date_and_address(self, refreshed: Refreshed) -> None:
        found = refreshed.table.price("alb.hour", "us-west-2")
        assert found is not None
        assert found.dollars == Decimal("0.023")
        assert found.as_of == date(2026, 11, 20)
        assert found.basis == "price list"
        assert found.source.endswith("/offers/v1.0/aws/AWSELB/current/us-west-2/index.json")

    def test_other_regions_stay_as_they_were(self, refreshed: Refreshed) -> None:
        assert refreshed.table.price("alb.hour", "us-east-1") is not None
        assert _dollars(refreshed, "alb.hour", "us-east-1") == Decimal("0.0225")
        assert refreshed.table.regions == TABLE.regions
        assert set(refreshed.table.keys) == set(TABLE.keys)

    def test_products_are_told_apart_by_system_zone_and_kind(self, refreshed: Refreshed) -> None:
        assert _dollars(refreshed, "ec2.t3.small") == Decimal("0.0209")
        assert _dollars(refreshed, "alb.lcu") == Decimal("0.008")

    def test_a_price_becomes_that_of_the_tables_unit(self, refreshed: Refreshed) -> None:
        # Of 10,000 requests, after those that are free; and of a MiB where the list has a GiB.
        assert _dollars(refreshed, "kms.requests") == Decimal("0.04")
        assert _dollars(refreshed, "ebs.gp3.throughput") == Decimal("0.04")

    def test_what_fits_several_prices_or_none_is_listed_and_kept(self, refreshed: Refreshed) -> None:
        reasons = _reasons(refreshed)
        assert "several prices for NatGateway-Hours: 0.046, 0.047" in reasons["nat.hour"]
        assert "has it in Furlongs, where GB was expected" in reasons["nat.processed"]
        assert "has no product BoxUsage:t3.large" in reasons["ec2.t3.large"]
        assert "there is no such file" in reasons["fargate.arm.vcpu"]
        assert "without charge" in reasons["lambda.requests"]
        assert reasons["backup.tested"] == "no product of the price list is known for it"
        assert _dollars(refreshed, "nat.hour") == Decimal("0.045")
        assert refreshed.read == 6
        assert refreshed.read + len(refreshed.kept) == len(TABLE.keys)

    def test_changes_are_told_with_what_was_before(self, refreshed: Refreshed) -> None:
        changes = {one.key: (one.before and one.before.dollars, one.after.dollars) for one in refreshed.changed}
        assert changes == {
            "alb.hour": (Decimal("0.0225"), Decimal("0.023")),
            "ec2.t3.small": (Decimal("0.0208"), Decimal("0.0209")),
            "kms.requests": (Decimal("0.03"), Decimal("0.04")),
        }

    def test_a_region_that_the_table_lacks_is_added_with_what_was_found(self, tmp_path: Path) -> None:
        OfferFile("awskms").add("eu-central-1-KMS-Keys", "Keys", "1.1").write(tmp_path, "eu-central-1")
        OfferFile("AmazonVPC").add("EUC1-PublicIPv4:InUseAddress", "Hrs", "0.005").write(tmp_path, "eu-central-1")
        made = refresh(TABLE, ["eu-central-1"], Folder(tmp_path))
        assert made.table.regions == ("eu-central-1", "us-east-1", "us-west-2")
        assert _dollars(made, "kms.key", "eu-central-1") == Decimal("1.1")
        assert made.table.price("nat.hour", "eu-central-1") is None

    def test_what_is_the_same_everywhere_is_read_once_for_all(self, tmp_path: Path) -> None:
        path = tmp_path / "AmazonRoute53/current/index.json"
        path.parent.mkdir(parents=True)
        path.write_text(OfferFile("AmazonRoute53").add("HostedZone", "HostedZones", "0.55", "0.10").text())
        made = refresh(TABLE, ["us-east-1", "us-west-2"], Folder(tmp_path))
        assert {region: _dollars(made, "route53.zone", region) for region in TABLE.regions} == {
            "us-east-1": Decimal("0.55"),
            "us-west-2": Decimal("0.55"),
        }

    def test_a_file_that_is_none_is_listed(self, tmp_path: Path) -> None:
        us_west_2(tmp_path)
        (tmp_path / "AWSELB/current/us-west-2/index.json").write_text("<html>")
        made = refresh(TABLE, ["us-west-2"], Folder(tmp_path))
        assert "AWSELB/current/us-west-2/index.json: expected '{'" in _reasons(made)["alb.hour"]
        assert _dollars(made, "alb.hour") == Decimal("0.0225")

    def test_a_folder_without_any_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="no offer file") as told:
            refresh(TABLE, ["us-west-2"], Folder(tmp_path))
        assert "SERVICE/current/REGION/index.json" in told.value.hint

    def test_a_region_whose_code_is_not_known_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="'mars-1'; of the price list's regions, known are us-east-1"):
            refresh(TABLE, ["us-east-1", "mars-1"], Folder(tmp_path))

    def test_a_folder_that_cannot_be_read_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "AWSELB/current/us-west-2/index.json").mkdir(parents=True)
        with pytest.raises(OutsideWorldError, match=r"cannot be read: .*Is a directory"):
            refresh(TABLE, ["us-west-2"], Folder(tmp_path))

    def test_it_says_what_it_reads(self, tmp_path: Path) -> None:
        us_west_2(tmp_path)
        said: list[str] = []
        refresh(TABLE, ["us-west-2"], Folder(tmp_path), progress=said.append)
        assert "reading AWSELB/current/us-west-2/index.json …" in said


class TestFilters:
    def test_each_offer_file_is_read_once_for_all_its_prices(self) -> None:
        files = [file for file, _ in by_service(TABLE.keys)]
        assert len(files) == len(set(files))
        assert sum(len(filters) for _, filters in by_service(TABLE.keys)) == sum(
            filter_of(key) is not None for key in TABLE.keys
        )

    def test_instances_are_found_by_their_type(self) -> None:
        usages = {}
        for key in ("ec2.t4g.large", "rds.db.t4g.small", "rds.db.t4g.small.multi", "aurora.db.r6g.large"):
            found = filter_of(key)
            assert found is not None
            usages[key] = (found.usage, found.attributes.get("databaseEngine"))
        assert usages == {
            "ec2.t4g.large": ("BoxUsage:t4g.large", None),
            "rds.db.t4g.small": ("InstanceUsage:db.t4g.small", "MySQL"),
            "rds.db.t4g.small.multi": ("Multi-AZUsage:db.t4g.small", "MySQL"),
            "aurora.db.r6g.large": ("InstanceUsage:db.r6g.large", "Aurora MySQL"),
        }
        assert filter_of("backup.tested") is None

    @pytest.mark.parametrize("region", PREFIXES)
    def test_a_usage_type_of_another_region_does_not_fit(self, region: str) -> None:
        filtered = filter_of("ipv4")
        assert filtered is not None
        for other, prefixes in PREFIXES.items():
            product = Product("A", {"usagetype": f"{prefixes[0]}PublicIPv4:InUseAddress"})
            assert filtered.fits(product, region) == (other == region)


class TestFile:
    def test_a_table_comes_back_as_it_was_written(self, refreshed: Refreshed, tmp_path: Path) -> None:
        path = tmp_path / "new/prices.json"
        write_table(refreshed.table, path)
        assert set(load_table(path).prices) == set(refreshed.table.prices)
        first = path.read_text(encoding="utf-8")
        write_table(load_table(path), path)
        assert path.read_text(encoding="utf-8") == first
        assert [one.name for one in path.parent.iterdir()] == ["prices.json"]

    def test_every_row_that_cannot_be_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "prices.json"
        path.write_text(
            '{"hostemr_prices": 1, "prices": [3, {"key": "", "unit": 1, "source": "x", "dollars": 0.5, "free": "-1",'
            ' "per": 0, "regions": [], "basis": "guessed", "as_of": "today"}]}',
            encoding="utf-8",
        )
        with pytest.raises(SettingsError) as told:
            load_table(path)
        assert [problem.removeprefix(f"{path}: price ") for problem in told.value.problems] == [
            "1: 3 is no row",
            "2: key is ''; expected a text",
            "2: unit is 1; expected a text",
            "2: dollars is 0.5; expected an amount as a text, such as '0.045'",
            "2: free is '-1'; expected an amount as a text, such as '0.045'",
            "2: per is 0; expected a whole number of 1 or more",
            "2: regions is []; expected a list of regions' names",
            "2: basis is 'guessed'; expected looked up or from memory or price list",
            "2: as_of is 'today'; expected a date such as 2026-11-22",
        ]

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("{", "it is no JSON"),
            ("{}", "it is no table of prices"),
            ("\udcff", "it is no JSON"),
            (None, "No such file"),
        ],
    )
    def test_a_file_that_is_none_is_refused(self, tmp_path: Path, content: str | None, told: str) -> None:
        path = tmp_path / "prices.json"
        if content is not None:
            path.write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(SettingsError, match=told) as refused:
            load_table(path)
        assert "--refresh" in refused.value.hint

    def test_a_price_twice_is_refused(self, refreshed: Refreshed, tmp_path: Path) -> None:
        path = tmp_path / "prices.json"
        write_table(refreshed.table, path)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"kms.key"', '"kms.rotation"'), encoding="utf-8")
        with pytest.raises(SettingsError, match=r"kms\.rotation is priced twice"):
            load_table(path)

    def test_a_place_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutsideWorldError, match="cannot be written"):
            write_table(TABLE, tmp_path / "file/prices.json")


@contextmanager
def _served(handler: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002, the standard library's name
        """Nothing: the test's output is not its place."""


class _Broken(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/AWSELB"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"publicationDate": ')
        else:
            self.send_error(503)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002, the standard library's name
        """Nothing: the test's output is not its place."""


class TestWeb:
    def test_files_are_read_from_an_address(self, tmp_path: Path) -> None:
        us_west_2(tmp_path)
        with _served(lambda *rest: _Quiet(*rest, directory=str(tmp_path))) as address:
            made = refresh(TABLE, ["us-west-2"], Web(f"{address}/"))
        assert made == refresh(TABLE, ["us-west-2"], Folder(tmp_path))

    def test_an_answer_that_says_no_is_told(self) -> None:
        with _served(_Broken) as address, pytest.raises(OutsideWorldError, match="answers 503 Service Unavailable"):
            refresh(TABLE, ["us-west-2"], Web(address))

    def test_a_file_that_breaks_off_is_no_offer_file(self) -> None:
        with _served(_Broken) as address, Web(address).open("AWSELB/x") as stream:
            assert stream.read(100) == b'{"publicationDate": '
            assert stream.read(100) == b""

    def test_a_server_that_is_not_there_is_told(self) -> None:
        with _served(_Broken) as address:
            pass
        with pytest.raises(OutsideWorldError, match=r"cannot be read: .*refused") as told, Web(address).open("x"):
            pass
        assert "--from FOLDER" in told.value.hint

    def test_a_file_that_takes_too_long_is_given_up(self, tmp_path: Path) -> None:
        us_west_2(tmp_path)
        with _served(lambda *rest: _Quiet(*rest, directory=str(tmp_path))) as address:
            slow = Web(address, file_seconds=-1)
            with pytest.raises(OutsideWorldError, match="it takes too long"):
                refresh(TABLE, ["us-west-2"], slow)

    def test_what_is_missing_is_no_failure(self, tmp_path: Path) -> None:
        with (
            _served(lambda *rest: _Quiet(*rest, directory=str(tmp_path))) as address,
            pytest.raises(NoOffer),
            Web(address).open("x"),
        ):
            pass
