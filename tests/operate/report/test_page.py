"""The pages as HTML: whole, safe, and saying what they should."""

from __future__ import annotations

import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from hostemr.operate.report.contents import Listed
from hostemr.operate.report.page import index_html
from tests.operate.planned import planned

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Reader(HTMLParser):
    """Collects links, anchors and external references, and fails on tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and value:
                self.links.append(value)
            if name in {"src", "srcset", "action"} or name.startswith("on"):
                self.outside.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open, reader.open
    return reader


@pytest.fixture(scope="module")
def report() -> str:
    return planned("--set", "size=trial").files["openemr/report.html"]


class TestReport:
    def test_it_is_whole_and_needs_nothing_from_outside(self, report: str) -> None:
        found = read(report)
        assert not found.outside
        assert "<script" not in report
        assert "default-src 'none'" in report
        assert not re.search(r"url\(|@import", report)
        assert len(found.ids) == len(set(found.ids))

    def test_its_own_links_lead_somewhere(self, report: str) -> None:
        found = read(report)
        anchors = {link.removeprefix("#") for link in found.links if link.startswith("#")}
        assert anchors
        assert anchors <= set(found.ids)

    @pytest.mark.parametrize(
        "said",
        [
            "OpenEMR on AWS Fargate",
            "In other sizes",
            "By who uses it",
            "What is accepted, and why",
            "If one availability zone fails",
            "What stays, and goes on costing",
            "cdk deploy --all",
            "aurora_minimum_capacity",
            "164.312(a)(1)",
        ],
    )
    def test_every_question_of_an_operator_has_its_place(self, report: str, said: str) -> None:
        assert said in report

    def test_the_chosen_size_is_a_column_beside_the_others(self, report: str) -> None:
        table = report[report.index("In other sizes") :]
        head = re.findall(r'<th class="number( chosen)?">([a-z]+)</th>', table[: table.index("</thead>")])
        assert head == [(" chosen", "trial"), ("", "clinic"), ("", "hospital")]

    def test_settings_that_differ_come_before_the_defaults(self, report: str) -> None:
        section = report[report.index('id="settings"') :]
        assert section.index("aurora_minimum_capacity") < section.index("Defaults of every size")
        assert section.index("Defaults of every size") < section.index("wait_timeout")


@pytest.fixture(scope="module")
def registration() -> str:
    return planned("registration", "--set", "ses_region=us-west-2").files["registration/report.html"]


class TestTheRegistrationService:
    @pytest.mark.parametrize(
        "said",
        [
            "The registration service on AWS",
            "no patients&#39; data",
            "registrations-10k",
            "fails over to its standby in another zone",
            "cdk bootstrap aws://ACCOUNT/us-west-2",
            "Docker, or a program like it",
            "somebody who can change the DNS of reg.open-emr.org",
            "mail and its reports".capitalize(),
        ],
    )
    def test_what_is_its_own_is_told(self, registration: str, said: str) -> None:
        assert said in registration

    @pytest.mark.parametrize("said", ["164.312(a)(1)", "In other sizes", "Defaults of every size", "small-practice"])
    def test_what_is_about_patients_and_sizes_is_left_out(self, registration: str, said: str) -> None:
        assert said not in registration


def test_names_that_anybody_chose_are_escaped() -> None:
    row = Listed(
        deployment="x",
        title="<script>alert(1)</script>",
        link="x/report.html",
        purpose="a & b",
        monthly=Decimal("1.50"),
        kept_monthly=Decimal(0),
        findings="0 open",
        findings_tone="good",
        open=0,
        losing=0,
        refused=0,
        outage="goes on",
        outage_tone="good",
        creation="1 min",
        changes=(),
    )
    page = index_html([row], made_on="2026-11-22", version="1")
    read(page)
    assert "<script" not in page
    assert "a &amp; b" in page
    assert "$1.50" in page
