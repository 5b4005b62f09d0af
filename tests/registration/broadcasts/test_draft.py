"""What a broadcast can be: every mistake named at once, and a hash of what its reader gets."""

from __future__ import annotations

from typing import Any

import pytest

from hostemr.registration.broadcasts.draft import Draft, InvalidDraft, parse_draft
from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage
from hostemr.registration.content_hash import content_sha256
from hostemr.registration.installations.version import Version

LONGEST = 1000
LONGEST_VERSION = 64


def parsed(**fields: Any) -> Draft:
    return parse_draft({"title": "Title", "contents": "Text", **fields}, LONGEST)


def problem(**fields: Any) -> str:
    with pytest.raises(InvalidEmailMessage) as error:
        parsed(**fields)
    assert "\n" not in error.value.message
    return error.value.message


def test_only_a_title_and_contents_are_needed() -> None:
    draft = parsed()
    assert (draft.title, draft.contents) == ("Title", "Text")
    assert (draft.format, draft.category) == ("text", "security")
    assert (draft.severity, draft.fixed_version, draft.fixed_version_order) == (None, None, None)
    assert draft.rendered.html is None


@pytest.mark.parametrize("nothing", ["", None])
def test_what_is_empty_is_as_what_is_not_there(nothing: str | None) -> None:
    assert parsed(format=nothing, category=nothing, severity=nothing, fixed_version=nothing) == parsed()


def test_spaces_alone_are_no_version() -> None:
    assert parsed(fixed_version="  ") == parsed()


def test_unknown_fields_do_no_harm() -> None:
    assert parsed(secretPin="1234", sendAt="now", html="<b>") == parsed()


def test_everything_wrong_is_named_together() -> None:
    message = problem(
        title="", contents="x" * 1001, format="rtf", category="fun", severity="bad", fixed_version="seven"
    )
    for part in (
        "The title is missing or empty.",
        "The contents have 1001 characters; at most 1000 are possible.",
        "format is 'rtf'; expected one of text, markdown, html",
        "category is 'fun'; expected one of security, news",
        "severity is 'bad'; expected one of critical, high, medium, low",
        "fixed_version is 'seven'; expected an OpenEMR version such as 7.0.3 or 7.0.3 (1).",
    ):
        assert message.count(part) == 1


@pytest.mark.parametrize(
    ("field", "value", "near"),
    [
        ("format", "Markdown", "markdown"),
        ("format", "markdwon", "markdown"),
        ("format", "htm", "html"),
        ("category", "securty", "security"),
        ("category", "new", "news"),
        ("severity", "hihg", "high"),
        ("severity", "critcal", "critical"),
    ],
)
def test_a_near_name_is_proposed(field: str, value: str, near: str) -> None:
    assert f"(did you mean {near}?)." in problem(**{field: value})


def test_a_name_that_is_near_to_none_is_only_refused() -> None:
    assert problem(format="xyz").endswith("text, markdown, html.")


def test_a_long_value_is_not_repeated_whole() -> None:
    for field in ("format", "category", "severity", "fixed_version"):
        assert "x" * 65 not in problem(**{field: "x" * 500})


@pytest.mark.parametrize("version", ["7.0.3", "7.0.3-dev", "7.0.3 (1)", "7.0.3(1)", " 7.0.3 ", "7.0.3-dev (12)"])
def test_the_version_in_every_form_of_openemr(version: str) -> None:
    draft = parsed(fixed_version=version)
    order = Version.parse(version)
    assert order is not None
    assert draft.fixed_version == version.strip()
    assert draft.fixed_version_order == order.order


@pytest.mark.parametrize(
    "version", ["7", "7.0", "v7.0.3", "7.0.3.1", "7.0.3 (x)", "7.0.-3", "> 7.0.2", "7,0,3", "\x00"]
)
def test_what_is_no_version_is_refused(version: str) -> None:
    assert problem(fixed_version=version).startswith("fixed_version is ")


def test_a_version_is_no_longer_than_what_is_kept_of_it() -> None:
    version = "7.0.3" + " " * LONGEST_VERSION + "(1)"
    try:
        draft = parsed(fixed_version=version)
    except InvalidEmailMessage:
        return
    assert len(draft.fixed_version or "") <= LONGEST_VERSION


def test_a_version_is_one_line() -> None:
    try:
        draft = parsed(fixed_version="7.0.3\n\n(1)")
    except InvalidEmailMessage:
        return
    assert "\n" not in (draft.fixed_version or "")


@pytest.mark.parametrize("value", [1, 1.5, True, [], ["Title"], {}, {"a": 1}])
@pytest.mark.parametrize("field", ["title", "contents", "format", "category", "severity", "fixed_version"])
def test_what_json_has_beside_texts_is_refused(field: str, value: object) -> None:
    assert problem(**{field: value}).startswith(f"{field} is not a text.")


def test_the_title_is_trimmed_and_the_contents_are_kept() -> None:
    draft = parsed(title="  Title ", contents=" Text\r\n ")
    assert (draft.title, draft.contents) == ("Title", " Text\r\n ")
    assert draft.rendered.text.startswith(" Text\n")


def test_the_hash_is_of_title_text_and_html() -> None:
    draft = parsed(format="markdown", contents="# Heading\n\nText", severity="high", fixed_version="7.0.3")
    assert draft.rendered.html is not None
    assert draft.sha256 == content_sha256("Title", draft.rendered.text, draft.rendered.html)


def test_what_nobody_reads_does_not_change_the_hash() -> None:
    assert parsed(title=" Title ", contents="Text\r\n").sha256 == parsed(contents="Text\n").sha256 == parsed().sha256
    assert parsed(format="text", category="security").sha256 == parsed().sha256


def test_what_everybody_reads_does() -> None:
    different = [
        parsed(),
        parsed(title="title"),
        parsed(contents="text"),
        parsed(format="markdown"),
        parsed(category="news"),
        parsed(severity="high"),
        parsed(severity="low"),
        parsed(fixed_version="7.0.3"),
        parsed(fixed_version="7.0.3 (1)"),
        parsed(severity="high", fixed_version="7.0.3"),
    ]
    assert len({draft.sha256 for draft in different}) == len(different)


def test_a_text_cannot_pass_for_a_title() -> None:
    assert content_sha256("a", "b", None) != content_sha256("a\nb", "", None)
    assert content_sha256("a", "b", "") != content_sha256("a", "b", None)


def test_each_problem_is_told_of_its_own_field() -> None:
    with pytest.raises(InvalidDraft) as error:
        parsed(title=" ", severity="bad", fixed_version=7)
    assert set(error.value.problems) == {"title", "severity", "fixed_version"}
    assert error.value.problems["fixed_version"] == "fixed_version is not a text."
    assert error.value.message == " ".join(error.value.problems.values())


def test_what_only_rendering_finds_is_a_problem_of_the_contents() -> None:
    with pytest.raises(InvalidDraft) as error:
        parsed(contents="<!-- nothing -->", format="html")
    assert error.value.problems == {"contents": "Nothing of the contents would be seen."}
