"""An author's text as it stands on the web."""

from __future__ import annotations

import re

import pytest

from hostemr.registration.advisories.web_text import web_html


def test_plain_text_keeps_its_lines_its_indents_and_its_paragraphs() -> None:
    page = web_html("Dear all,\r\n\r\n  1. Stop.\n  2. Go   on.\n\n\n\nBye\n", "text")
    assert page.count("<p ") == 3
    assert "<br>" in page
    assert "\N{NO-BREAK SPACE} 1. Stop." in page or "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}1. Stop." in page
    assert re.sub(r"<[^>]+>", "", page).replace("\N{NO-BREAK SPACE}", " ").split("\n")[1:3] == [
        "  1. Stop.",
        "  2. Go   on.",
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("See https://www.open-emr.org/wiki, or not.", "https://www.open-emr.org/wiki"),
        ("(http://a.example/b?c=1&d=2)", "http://a.example/b?c=1&amp;d=2"),
    ],
)
def test_addresses_in_plain_text_become_links(text: str, address: str) -> None:
    assert f'<a href="{address}" rel="noopener">{address}</a>' in web_html(text, "text")


@pytest.mark.parametrize("text", ["javascript:alert(1)", 'https://a.example/"onmouseover="x', "<b>bold</b>", "&lt;"])
def test_nothing_else_in_plain_text_becomes_markup(text: str) -> None:
    page = web_html(text, "text")
    assert re.findall(r"<(?!/?p\b|/?a\b|br>)", page) == []
    assert 'href="javascript' not in page
    assert not re.search(r"<[^>]*\sonmouseover", page)


@pytest.mark.parametrize(
    ("source", "levels"),
    [
        ("# A\n\n## B\n\n# C", "232"),
        ("### A\n\n##### B\n\n#### C\n\n# D", "2332"),
        ("# 1\n\n## 2\n\n### 3\n\n#### 4\n\n##### 5\n\n###### 6", "234566"),
    ],
)
def test_headings_begin_below_the_page_s_own_and_leave_none_out(source: str, levels: str) -> None:
    assert "".join(re.findall(r"<h(\d)", web_html(source, "markdown"))) == levels


def test_pictures_give_way_to_their_words() -> None:
    page = web_html('<p>Before <img src="https://tracker.example/x.png" alt="the <new> screen"> after</p>', "html")
    assert "tracker.example" not in page
    assert "Before the &lt;new&gt; screen after" in page


def test_links_and_tables_of_markdown_stay() -> None:
    page = web_html("[notes](https://www.open-emr.org/)\n\n| a | b |\n|---|--:|\n| 1 | 2 |", "markdown")
    assert '<a href="https://www.open-emr.org/" rel="noopener">notes</a>' in page
    assert "<table>" in page
