"""What the drill and the calendar have people type is what the verbs and AWS take, in their order."""

from __future__ import annotations

import json
import re

import botocore.session
from botocore.validate import ParamValidator

from hostemr.operate.restore_commands import restore
from tests.docs.reading import GUIDE, ROOT, quoted, rows, section

DRILL = GUIDE / "088_drill.md"
DAY_TWO = GUIDE / "087_day_two.md"


def test_the_drill_takes_every_step_of_a_restore_in_the_order_of_its_help() -> None:
    order = re.findall(r"^ *(plan|start|verify|cutover|rollback|close) ", restore.help or "", re.MULTILINE)
    taken = [
        command.split()[2]
        for _, step, _ in rows(section(DRILL, "## On Fargate"))
        for command in quoted(step)
        if command.startswith("hostemr restore ")
    ]
    assert taken == order
    assert len(order) == 6


def test_every_test_that_the_drill_has_people_run_is_there() -> None:
    paths = re.findall(r"ARGS=(\S+?)`", DRILL.read_text(encoding="utf-8"))
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path


def test_the_status_that_the_drill_looks_for_is_what_the_server_says() -> None:
    table = section(DRILL, "## Express Plus")
    source = (ROOT / "src/hostemr/host/status.py").read_text(encoding="utf-8")
    (said,) = re.findall(r'"(One could [^"]+)"', table)
    assert said in source


def test_the_budget_and_its_notices_are_what_aws_takes() -> None:
    blocks = re.findall(r"```json\n(.*?)```", section(DAY_TWO, "## Watch the costs"), re.DOTALL)
    model = botocore.session.get_session().get_service_model("budgets")
    for block, shape in zip(blocks, ("Budget", "NotificationWithSubscribersList"), strict=True):
        report = ParamValidator().validate(json.loads(block), model.shape_for(shape))
        assert not report.has_errors(), report.generate_report()
