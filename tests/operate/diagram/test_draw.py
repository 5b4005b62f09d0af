"""The drawing: nothing on top of anything else, nothing cut, one file that says the same each time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hostemr.operate.diagram.draw import draw
from hostemr.operate.diagram.facts import picture
from hostemr.operate.diagram.layout import arrange
from hostemr.operate.diagram.measure import fitted, width, wrapped
from hostemr.operate.diagram.model import Picture
from hostemr.operate.diagram.sheet import Box, Sheet
from hostemr.operate.stateful import holds_state
from hostemr.operate.template import Template, resources
from tests.operate.diagram.templates import deployment, drawn
from tests.operate.templates import resource, template
from tests.stacks import express_plus
from tests.stacks.configurations import SAMPLES
from tests.stacks.synthesis import synthesize

LONG = "AVeryLongNameThatSomebodyGaveToAThingBecauseNothingSaidThatTheyShouldNot" * 2
CARDS = {"card", "store", "panel"}


def odd() -> dict[str, Template]:
    """Long names, names that are markup, names in other letters, and more of everything than there is room for."""
    made = deployment()
    made |= {f"Bucket{LONG}{n}": resource("AWS::S3::Bucket") for n in range(4)}
    made |= {f"Nat{n}": resource("AWS::EC2::NatGateway", SubnetId={"Ref": f"Public{'AB'[n % 2]}"}) for n in range(5)}
    made |= {f"Key{n}": resource("AWS::KMS::Key", Description=f"患者のデータ {LONG} <b>&amp;</b>") for n in range(9)}
    made["Secret"] = resource("AWS::SecretsManager::Secret", Description='<script>alert("x")</script> \x00 \u202e')
    made["Name"] = resource(
        "AWS::Route53::RecordSet", Name=f"{LONG}.example.", Type="A", ResourceRecords=[{"Ref": "Ip"}]
    )
    made["Ip"] = resource("AWS::EC2::EIP", Domain="vpc")
    made["Second"] = made["Balancer"]
    return {"stack": template(made)}


def samples() -> Iterator[tuple[str, Mapping[str, Any] | None, str]]:
    yield "small", None, ""
    yield "odd", None, ""
    for application, name in (("openemr", "trial"), ("openemr", "clinic"), ("openmrs", "everything")):
        yield f"{application} {name}", SAMPLES[application][name], application
    yield "Express Plus", {}, "express-plus"


@pytest.fixture(scope="module", params=list(samples()), ids=lambda sample: sample[0].replace(" ", "-"))
def templates(request: pytest.FixtureRequest) -> Mapping[str, Template]:
    name, context, application = request.param
    if context is None:
        return odd() if name == "odd" else {"stack": template(deployment())}
    if application == "express-plus":
        made = express_plus.synthesize(context)
        return {made.name: made.template}
    return synthesize(context, application).stacks


@pytest.fixture(scope="module")
def found(templates: Mapping[str, Template]) -> Picture:
    return picture(templates, title="A deployment")


@pytest.fixture(scope="module")
def sheet(found: Picture) -> Sheet:
    return arrange(found)


def cards(sheet: Sheet) -> list[Box]:
    return [one for one in sheet.boxes if one.role in CARDS]


class TestSheet:
    def test_no_two_boxes_overlap(self, sheet: Sheet) -> None:
        for one, other in combinations(cards(sheet), 2):
            beside = one.right <= other.x or other.right <= one.x
            assert beside or one.bottom <= other.y or other.bottom <= one.y, (one.id, other.id)

    def test_everything_is_on_the_sheet_and_in_its_frame(self, found: Picture, sheet: Sheet) -> None:
        for one in sheet.boxes:
            assert one.x >= 0
            assert one.right <= sheet.width
            assert one.bottom <= sheet.height
        inside = {one.id for one in found.components if one.place == "network"}
        frames = [one for one in sheet.boxes if one.role == "frame"]
        for one in (box for box in sheet.boxes if box.id in inside):
            assert frames[0].x < one.x < one.right < frames[0].right
            assert frames[0].y < one.y < one.bottom < frames[0].bottom

    def test_no_text_leaves_its_box(self, sheet: Sheet) -> None:
        for box in sheet.boxes:
            for text in box.texts:
                start, end = text.span
                assert box.x < start, (box.id, text)
                assert end <= box.right, (box.id, text)
                assert box.y < text.y - text.size * 0.8, (box.id, text)
                assert text.y + 3 <= box.bottom, (box.id, text)

    def test_no_text_is_on_top_of_another_or_of_a_mark(self, sheet: Sheet) -> None:
        for box in cards(sheet):
            for one, other in combinations(box.texts, 2):
                apart = abs(one.y - other.y) >= 12 or one.span[1] <= other.span[0] or other.span[1] <= one.span[0]
                assert apart, (one.text, other.text)
            marks = [(badge.x - 9, badge.y) for badge in box.badges]
            marks += [(box.anchor[0] - 8, box.anchor[1])] if box.anchor else []
            marks += [box.pill] if box.pill else []
            for x, y in marks:
                assert box.x < x < box.right
                assert box.y < y - 7 < y + 7 < box.bottom
                for text in box.texts if box.role != "panel" else ():
                    assert text.y - text.size > y + 5 or text.y + 3 < y - 5 or text.span[1] < x, (text.text, x)

    def test_no_text_outside_of_boxes_leaves_the_sheet(self, sheet: Sheet) -> None:
        for text in [*sheet.texts, *(text for line in sheet.lines for text in line.texts)]:
            assert text.span[0] >= 0
            assert text.span[1] <= sheet.width
            assert text.y < sheet.height

    def test_no_arrow_runs_through_a_box(self, sheet: Sheet) -> None:
        for line in sheet.lines:
            for (x, y), (to_x, to_y) in zip(line.points, line.points[1:], strict=False):
                assert x == to_x or y == to_y, "arrows go straight or turn at right angles"
                left, right, top, low = min(x, to_x), max(x, to_x), min(y, to_y), max(y, to_y)
                for box in cards(sheet):
                    beside = right <= box.x or left >= box.right or low <= box.y or top >= box.bottom
                    assert beside, (box.id, line.points)

    def test_every_arrow_starts_and_ends_at_its_boxes(self, found: Picture, sheet: Sheet) -> None:
        ends = {line.points[-1] for line in sheet.lines}
        for flow in found.flows:
            box = sheet.box(flow.target)
            assert any(x in {box.x, box.right} and box.y <= y <= box.bottom for x, y in ends), flow

    def test_it_is_a_picture_and_not_a_list(self, found: Picture) -> None:
        assert len(found.components) <= 30


class TestData:
    def test_all_that_holds_data_is_drawn(self, found: Picture, templates: Mapping[str, Template]) -> None:
        drawn_ = {tuple(node) for one in found.components for node in one.members}
        keys = {tuple(key.node) for key in found.keys if key.node}
        holding = {
            (stack, name)
            for stack, one in templates.items()
            for name, body in resources(one).items()
            if holds_state(body)
        }
        assert holding
        assert holding <= drawn_ | keys


class TestOurs:
    """What we promise of our own deployments, as the picture reads it from their templates."""

    @pytest.mark.parametrize("size", ["trial", "clinic"])
    def test_the_fargate_deployments_have_one_door_and_encrypt_all_that_rests(self, size: str) -> None:
        found = picture(synthesize(SAMPLES["openemr"][size]).stacks, title=size)
        assert [one.title for one in found.components if one.public] == ["Load balancer"]
        assert found.summary[1].text == "Everything that rests is encrypted."
        assert (str(found.summary[2].tone) == "bad") == (size == "trial"), "a trial without a certificate is plain HTTP"

    def test_express_plus_keeps_its_data_and_shows_its_one_zone(self) -> None:
        made = express_plus.synthesize({})
        found = picture({made.name: made.template}, title="one server")
        assert [one.title for one in found.components if one.public] == ["Server"]
        assert all(one.kept for one in found.components if one.stores)
        assert "one zone: if it fails, all stops" in [note.text for note in found.network_notes]


class TestSvg:
    def test_it_is_well_formed_and_needs_nothing_else(self, templates: Mapping[str, Template]) -> None:
        text = draw(templates, title="A deployment")
        root = ET.fromstring(text)
        assert root.get("role") == "img"
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "title", "desc", "style", "g", "rect", "path", "text", "circle"}
        names = {name for element in root.iter() for name in element.attrib}
        assert not {name for name in names if name.startswith("on") or "href" in name}
        assert "url(" not in text
        assert "prefers-color-scheme:dark" in text

    def test_ids_and_styles_of_two_drawings_are_apart(self) -> None:
        texts = [draw({"stack": template(deployment())}, title=title) for title in ("one", "two")]
        ids = [{e.get("id") for e in ET.fromstring(text).iter() if e.get("id")} for text in texts]
        assert [len(found) for found in ids] == [3, 3]
        assert not ids[0] & ids[1]
        for text, found in zip(texts, ids, strict=True):
            style = text[text.index("<style>") : text.index("</style>")]
            name = min(filter(None, found), key=len)
            assert all(f"#{name}" in line for line in style.splitlines()[1:])

    def test_names_are_text_and_never_markup(self) -> None:
        text = draw(odd(), title='<b onload="x">&</b>')
        assert "<script" not in text
        assert "\x00" not in text
        root = ET.fromstring(text)
        assert root.findtext("{*}title") == '<b onload="x">&</b>'
        assert any('<script>alert("x")</script>' in (element.text or "") for element in root.findall(".//{*}text"))
        assert "\u202e" not in text, "a name cannot turn the direction of what follows"

    def test_it_can_be_heard(self) -> None:
        text = draw({"stack": template(deployment())}, title="A deployment")
        heard = ET.fromstring(text).findtext("{*}desc") or ""
        for said in (
            "Public: load balancer only.",
            "key 1: Patients' data",
            "Application tasks to Aurora MySQL database",
        ):
            assert said in heard

    def test_the_same_templates_give_the_same_bytes_in_every_process(self) -> None:
        code = (
            "import json, sys\nfrom hostemr.operate.diagram.draw import draw\n"
            "sys.stdout.write(draw(json.load(sys.stdin), title='same'))"
        )
        given = json.dumps({"stack": template(deployment())})
        other = subprocess.run(
            [sys.executable, "-c", code],
            input=given,
            env={**os.environ, "PYTHONHASHSEED": "1"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert other.stdout == draw(json.loads(given), title="same")


class TestOddTemplates:
    def test_a_template_without_a_network_is_drawn_too(self) -> None:
        found = drawn({"Table": resource("AWS::DynamoDB::Table")})
        assert not [one for one in arrange(found).boxes if one.role == "frame"]
        ET.fromstring(draw({"stack": template({"Wait": resource("AWS::IAM::Role")})}, title="nothing"))

    def test_properties_of_any_shape_give_a_picture(self) -> None:
        chance = random.Random(7)
        for _ in range(60):
            made = deployment()
            for name in chance.sample(sorted(made), 8):
                properties = made[name].get("Properties", {})
                for key in properties:
                    properties[key] = chance.choice(JUNK)
            ET.fromstring(draw({"stack": template(made)}, title="odd"))


JUNK: list[Any] = [
    "x",
    "",
    7,
    None,
    [],
    {},
    ["a", 1],
    {"a": "b"},
    [{"a": 1}],
    {"Ref": "Nothing"},
    {"Ref": ["Vpc"]},
    {"Fn::GetAtt": ["Vpc", "Id"]},
    {"Fn::If": ["Unknown", {"Ref": "Key"}, 2]},
    {"Fn::Select": [9, {"Fn::GetAZs": ""}]},
    {"Fn::ImportValue": {"Ref": "Nothing"}},
    {"Fn::Sub": ["${A}", {"A": {"Ref": "Files"}}]},
]


class TestMeasure:
    def test_a_text_that_is_cut_fits_and_shows_it(self) -> None:
        cut = fitted(LONG, 100, 11)
        assert cut.endswith("…")
        assert width(cut, 11) <= 100
        assert fitted("short", 100, 11) == "short"

    def test_lines_fit_and_no_word_is_lost(self) -> None:
        text = "who did what in the account, and when it was"
        lines = wrapped(text, 90, 11)
        assert len(lines) > 2
        assert all(width(line, 11) <= 90 for line in lines)
        assert " ".join(lines) == text
