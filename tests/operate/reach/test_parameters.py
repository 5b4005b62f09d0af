"""Parameters are typed here, and held against the Data API's model."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from hostemr.errors import SettingsError
from hostemr.operate.reach.parameters import TYPES, parameters
from hostemr.operate.reach.statements import split

_EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "string": ("O'Neill = x", {"value": {"stringValue": "O'Neill = x"}}),
    "long": ("-3", {"value": {"longValue": -3}}),
    "double": ("1.5", {"value": {"doubleValue": 1.5}}),
    "boolean": ("True", {"value": {"booleanValue": True}}),
    "blob": ("AAEC", {"value": {"blobValue": b"\0\1\2"}}),
    "null": ("", {"value": {"isNull": True}}),
    "date": ("2026-05-04", {"value": {"stringValue": "2026-05-04"}, "typeHint": "DATE"}),
    "time": ("13:30", {"value": {"stringValue": "13:30:00"}, "typeHint": "TIME"}),
    "timestamp": (
        "2026-05-04T13:30:00.25",
        {"value": {"stringValue": "2026-05-04 13:30:00.250"}, "typeHint": "TIMESTAMP"},
    ),
    "decimal": ("12.30", {"value": {"stringValue": "12.30"}, "typeHint": "DECIMAL"}),
    "json": ('{"a": 1}', {"value": {"stringValue": '{"a": 1}'}, "typeHint": "JSON"}),
    "uuid": (
        "0F4D1C62-7D3B-4E5A-9C11-0A1B2C3D4E5F",
        {"value": {"stringValue": "0f4d1c62-7d3b-4e5a-9c11-0a1b2c3d4e5f"}, "typeHint": "UUID"},
    ),
}


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_becomes_what_the_data_api_takes(kind: str) -> None:
    text, expected = _EXAMPLES[kind]
    found = parameters([f"a:{kind}={text}"], split("SELECT :a"))["a"]
    assert found == {"name": "a", **expected}
    shape = botocore.session.Session().get_service_model("rds-data").shape_for("SqlParameter")
    report = ParamValidator().validate(found, shape)
    assert not report.has_errors(), report.generate_report()
    hints = shape.members["typeHint"].enum
    assert found.get("typeHint", hints[0]) in hints


def test_without_a_type_a_value_is_text() -> None:
    assert parameters(["a=1"], split("SELECT :a"))["a"]["value"] == {"stringValue": "1"}


def test_every_problem_is_told_at_once() -> None:
    given = [
        "nothing", "a:long=many", "b:lnog=1", "c:long=9223372036854775808", "d:boolean=yes", "e:null=x",
        "f:timestamp=2026-05-04T13:30:00Z", "g:blob=%", "h=1", "h=2", "dya=1", "i:decimal=NaN", "j:json={", "k:uuid=1",
    ]  # fmt: skip
    asked = "SELECT :a, :b, :c, :d, :e, :f, :g, :h, :i, :j, :k, :day"
    with pytest.raises(SettingsError) as told:
        parameters(given, split(asked))
    problems = told.value.problems
    assert "--param is 'nothing'; expected NAME=VALUE or NAME:TYPE=VALUE" in problems
    assert "--param a:long is 'many'; expected a whole number" in problems
    assert any("did you mean long?" in one for one in problems)
    assert "--param h is given twice" in problems
    assert "--param dya: no statement has :dya; did you mean day?" in problems
    assert "the statement asks for :day; add --param day=VALUE" in problems
    assert sum("; expected " in one for one in problems) == 11
    assert len(problems) == 14
