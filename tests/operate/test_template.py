"""Reading templates: JSON and YAML, and clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostemr.operate.template import InvalidTemplate, canonical, load_template, parse_template

YAML = """\
AWSTemplateFormatVersion: 2010-09-09
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub '${AWS::StackName}-files'
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Version: 2012-10-17
        Statement: !If [Strict, [], !GetAtt Bucket.Arn]
"""


def test_short_form_tags_and_dates_are_read_as_json_writes_them() -> None:
    read = parse_template(YAML, name="a.yaml")
    policy = read["Resources"]["Policy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "Bucket"}
    assert policy["PolicyDocument"]["Version"] == "2012-10-17"
    assert policy["PolicyDocument"]["Statement"] == {"Fn::If": ["Strict", [], {"Fn::GetAtt": ["Bucket", "Arn"]}]}
    assert type(read) is dict
    assert type(policy["Bucket"]["Ref"]) is str


def test_json_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}')
    assert load_template(file) == {"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTemplate, match=r"none\.yaml: cannot be read: No such file"):
        load_template(tmp_path / "none.yaml")


def test_a_folder_and_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTemplate, match="cannot be read: Is a directory"):
        load_template(tmp_path)
    (tmp_path / "a").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidTemplate, match="not UTF-8"):
        load_template(tmp_path / "a")


@pytest.mark.parametrize("text", ['{"Resources": ', "Resources:\n  A: [", "Resources:\n  A: 1\n  A: 2\n"])
def test_text_that_does_not_parse_is_shown_with_its_line(text: str) -> None:
    with pytest.raises(InvalidTemplate, match=r"^x:\d+:\d+: ."):
        parse_template(text, name="x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no Resources"),
        ("only words", "is str"),
        ("Resources: {}", "no Resources"),
        ("openapi: 3.0.0", "openapi is no section"),
    ],
)
def test_what_is_no_template_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidTemplate, match=problem):
        parse_template(text, name="x")


def test_all_problems_come_at_once() -> None:
    with pytest.raises(InvalidTemplate) as raised:
        parse_template("Resources: {A: 1, B: {}, C: {Type: X, Properties: []}}\nParameter: {}", name="x")
    assert len(raised.value.problems) == 4
    assert raised.value.exit_status == 2


def test_equal_meanings_are_equal() -> None:
    assert canonical({"A": 80, "B": True, "C": 1.0}) == canonical({"A": "80", "B": "true", "C": "1"})
    assert canonical({"Fn::GetAtt": "a.b.c"}) == {"Fn::GetAtt": ["a", "b.c"]}
    assert canonical("true") != canonical("True")


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ("Outputs: []", "x: Outputs is list, expected a mapping"),
        ("Parameters: words", "x: Parameters is str, expected a mapping"),
        ("Conditions: true", "x: Conditions is bool, expected a mapping"),
        ("Mappings: 1", "x: Mappings is int, expected a mapping"),
        ("Metadata:", "x: Metadata is null, expected a mapping"),
        ("Parameters: {P: words}", "x: Parameters.P is no mapping"),
        ("Outputs: {O: []}", "x: Outputs.O is no mapping"),
    ],
)
def test_a_section_that_is_no_mapping_is_refused_with_one_line(sections: str, problem: str) -> None:
    with pytest.raises(InvalidTemplate) as raised:
        parse_template(f"Resources: {{T: {{Type: AWS::SNS::Topic}}}}\n{sections}", name="x")
    assert raised.value.problems == (problem,)


def test_outputs_that_a_loop_writes_are_no_mistake() -> None:
    looped = "Outputs: {'Fn::ForEach::Each': [N, [a, b], {'Out${N}': {Value: x}}]}"
    assert parse_template(f"Resources: {{T: {{Type: AWS::SNS::Topic}}}}\n{looped}", name="x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Resources: *none", "found undefined alias, line 1, column 12"),
        ("PK\x03\x04", "unacceptable character #x0003: control characters are not allowed, position 2"),
    ],
)
def test_what_the_reader_says_on_several_lines_is_one_problem_of_one_line(text: str, reason: str) -> None:
    with pytest.raises(InvalidTemplate) as raised:
        parse_template(text, name="x")
    assert raised.value.problems == (f"x: neither JSON nor YAML: {reason}",)


@pytest.mark.parametrize(
    "attribute", ["DependsOn: 1", "DependsOn: [{Ref: U}]", "Condition: {}", "Condition: [C]", "Metadata: []"]
)
def test_an_attribute_of_another_shape_is_refused(attribute: str) -> None:
    with pytest.raises(InvalidTemplate, match=rf"x: Resources\.T\.{attribute.partition(':')[0]} is n"):
        parse_template(f"Resources: {{T: {{Type: AWS::SNS::Topic, {attribute}}}}}", name="x")
