"""Rendered broadcasts: readable as text and as HTML, literal, safe whatever their contents, and always the same."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import asdict
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hostemr.registration.broadcasts import layout
from hostemr.registration.broadcasts.content import MOST_LINES, Format, Rendered, format_of, render
from hostemr.registration.broadcasts.markdown import DEEPEST_INLINE
from hostemr.registration.broadcasts.markup import ATTRIBUTES, MOST_ELEMENTS, TAGS, parse, sanitise
from hostemr.registration.broadcasts.message_rules import InvalidEmailMessage
from hostemr.registration.broadcasts.plain_text import plain_text
from hostemr.registration.content_hash import content_sha256
from hostemr.registration.links import UNSUBSCRIBE_PLACEHOLDER

FORMATS: tuple[Format, ...] = ("text", "markdown", "html")
LARGEST = 256 * 1024
SLOWEST = 15
"""Seconds: of a computer that is busy with other things; alone it takes a fifth."""

ADVISORY = """\
An attacker **without an account** can read records.

## What to do

1. Read the [release notes](https://www.open-emr.org/notes?a=1&b=2)
2. Update ~~tomorrow~~ today
   - with `docker`
   - by hand

| Version | Concerned | Fixed |
|:--------|:---------:|------:|
| 7.0.3 | yes | 7.0.4 |

> It changes no tables.

```sh
docker compose pull {{ openemr }}

curl <url> && true
```

שלום OpenEMR
"""


def rendered(contents: str, form: Format = "markdown", **others: Any) -> Rendered:
    values: dict[str, Any] = {"title": "A title", "category": "security", "severity": None} | others
    return render(contents=contents, format=form, **values)


def html_of(contents: str, form: Format = "markdown", **others: Any) -> str:
    page = rendered(contents, form, **others).html
    assert page is not None
    return page


def text_of(contents: str, form: Format = "markdown") -> str:
    """The text part without its footer."""
    return rendered(contents, form).text.partition("\n\n-- \n")[0]


class Reader(HTMLParser):
    """What a mail program sees: text, tags, and the values of attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.values: list[tuple[str, str, str]] = []
        self._hidden = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"style", "title"}
        self.tags.append(tag)
        self.values += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "title"}

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data


def test_plain_text_stays_as_it_is_and_says_how_to_stop() -> None:
    result = rendered("Dear all,\r\n\r\n  <b>{{ x }}</b> &amp; *so*\rBye\n\n", "text")
    assert result.html is None
    assert result.text == (
        "Dear all,\n\n  <b>{{ x }}</b> &amp; *so*\nBye\n\n-- \n"
        "You get this because this address was registered in an OpenEMR installation.\n"
        f"To stop security advisories about OpenEMR to this address, open {UNSUBSCRIBE_PLACEHOLDER}\n"
    )


def test_markdown_is_readable_as_text() -> None:
    assert (
        text_of(ADVISORY)
        == """\
An attacker without an account can read records.

What to do
----------

1. Read the release notes <https://www.open-emr.org/notes?a=1&b=2>
2. Update ~~tomorrow~~ today
   - with docker
   - by hand

Version | Concerned | Fixed
--------+-----------+------
7.0.3   | yes       | 7.0.4

> It changes no tables.

    docker compose pull {{ openemr }}

    curl <url> && true

שלום OpenEMR"""
    )


def test_markdown_is_marked_up_once_and_finds_its_direction() -> None:
    page = html_of(ADVISORY)
    reader = Reader(page)
    for tag, times in {
        "html": 1,
        "body": 1,
        "ol": 1,
        "ul": 1,
        "pre": 1,
        "blockquote": 1,
        "s": 1,
        "h1": 1,
        "h2": 1,
    }.items():
        assert reader.tags.count(tag) == times, tag
    assert '<p dir="auto" style="margin: 0 0 16px;">שלום OpenEMR</p>' in page
    assert '<th dir="auto" align="right"' in page
    assert "docker compose pull {{ openemr }}\n\ncurl &lt;url&gt; &amp;&amp; true\n" in page
    assert ("a", "href", "https://www.open-emr.org/notes?a=1&b=2") in reader.values
    assert ("a", "rel", "noopener") in reader.values


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ("<h1>A</h1><h2>漢字</h2><h3>ccc</h3>", "A\n=\n\n漢字\n----\n\nccc\n~~~"),
        ("<p>a<br>b <em>c</em>\n d<p>e", "a\nb c d\n\ne"),
        ("<ul><li>a<ol start=9><li>b<li>c<p>d</p></ol><li>e</ul>f", "- a\n  9. b\n\n  10. c\n\n      d\n- e\n\nf"),
        ("<blockquote>a<blockquote><p>b<p>c</blockquote></blockquote>", "> a\n>\n> > b\n> >\n> > c"),
        ("<pre>\n\n  a\n <b>b</b><br>c</pre>", "      a\n     b\n    c"),
        ("<a href=' https://a.b '>x</a> <a href='https://a.b/?x&amp;y'>c  d</a>", "x c d <https://a.b/?x&y>"),
        ("<a href=mailto:a@b.c>a@b.c</a>, <a href=https://a.b></a>", "a@b.c, https://a.b"),
        ("<a href=mailto:a@b.c>us</a> <a href=https://a.b>https://a.b</a>", "us <a@b.c> https://a.b"),
        ("<table><tr><td><p>one</table><table><tr><td>two<tr><td>three</table>", "one\n\ntwo\n\nthree"),
        ("<table><tr><td><table><tr><td>a<td>b</table><td>c</table>", "a | b\n\nc"),
        ("<table><caption>T</caption><tr><td>é<td>漢<td>x<tr><td>bb<td>c</table>", "T\n\ne\u0301  | 漢 | x\nbb | c"),
        ("<table><tr><th>a<th>b<tr><td>1<td>" + "x" * 80 + "</table>", "a: 1\nb: " + "x" * 80),
        ("<table><tr><td>a<td>" + "x" * 80 + "</table>", "a | " + "x" * 80),
        ("<dl><dt>Term<dd>Meaning<dd><p>Other</dl>", "Term\n    Meaning\n    Other"),
        ("a<hr>b", "a\n\n" + "-" * 40 + "\n\nb"),
        ("x<sup>2</sup> <del>old</del> <q>so</q>", "x^2 ~~old~~ “so”"),
        ("<img src=https://a.b/c.png alt='A chart'> <img src=http://a.b/c.png alt=tracker>", "[A chart] tracker"),
        ("<div>a</div><section>b</section><center>c</center>", "a\n\nb\n\nc"),
        ("<b>a<div>b</div></b>", "a\nb"),
        ("<b>bold <i>both</b> after", "bold both after"),
        ("1 < 2 & 3 > 2 &lt;b&gt; <!-- note --> <?php ?> </ > <1>", "1 < 2 & 3 > 2 <b> <1>"),
        ("<title>no</title><style>p{}</style><script>a<b</script>yes<svg><text>no</text></svg>", "yes"),
        ("<p title='a>b'>a</p></div></table></p>b", "a\n\nb"),
        ("<ul><li><pre>  a</pre></ul>", "-       a"),
        ("<h1></h1><table></table><ul></ul><p>a", "a"),
    ],
)
def test_html_is_readable_as_text(contents: str, text: str) -> None:
    assert text_of(contents.replace("é", "e\u0301"), "html") == text


LITERALS = [
    "{{ title }}",
    "{% raw %}",
    "{# x #}",
    "<%= x %>",
    "}}",
    "&amp; &lt;",
    "a < b & c",
    "👩🏽‍⚕️",
    "e\u0301",
    "\u202eabc\u202c",
]


@pytest.mark.parametrize("literal", LITERALS)
@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_interpreted(literal: str, form: Format) -> None:
    escaped = literal.replace("&", "&amp;").replace("<", "&lt;") if form != "text" else literal
    result = rendered(f"a {escaped} b", form, title=literal, fixed_version=literal, severity=literal)
    assert f"a {literal} b" in result.text
    assert f"Severity: {literal}\nFixed in OpenEMR {literal}\n" in result.text
    if result.html is not None:
        seen = Reader(result.html).text
        assert f"a {literal} b" in seen
        assert f"Severity: {literal}" in seen
        assert seen.count(literal) >= 4


def test_html_in_markdown_is_text() -> None:
    contents = "<script>alert(1)</script> <b onclick=x>b</b>\n\n<div>\n\n[x](javascript:alert(1)) ![x](data:a/b,c)"
    page = html_of(contents)
    assert {"script", "b", "div", "img", "a"} & set(
        Reader(page.partition('class="content"')[2].partition("</td>")[0]).tags
    ) == set()
    assert "<script>alert(1)</script> <b onclick=x>b</b>" in text_of(contents)
    assert "[x](javascript:alert(1))" in text_of(contents)


ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example>x</SCRIPT >",
    "<img src=x onerror=alert(1)>",
    "<img src=https://a.b/x.png onerror=alert(1) style=position:fixed>",
    "<a href='jav&#x61;script:alert(1)'>x</a>",
    "<a href='java&Tab;script:alert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='//evil.example'>x</a><a href='/relative'>y</a>",
    "<a href=vbscript:x>x</a>",
    "<iframe src=https://a.b><script>alert(1)</script></iframe>",
    "<form action=https://a.b><input name=pin><button>x</button></form>",
    "<style>@import 'https://a.b'</style><link rel=stylesheet href=https://a.b>",
    "<p style='background:url(https://a.b)' class=page id=x>x</p>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=x()&gt;'></table></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<textarea><p title='</textarea><img src=x onerror=alert(1)>'></textarea>",
    "<!--[if mso]><script>alert(1)</script><![endif]-->",
    "<!--><script>alert(1)</script>-->",
    "<template><script>alert(1)</script></template>",
    "<b><i><p>x</b></i></p><table><b><tr><td><a href=https://a.b><a href=https://c.d>y",
    "<a href=https://a.b><table><tr><td><a href=https://c.d>x</table>",
    "</td></tr></table></body></html><h1>x",
    "<img alt='<script>alert(1)</script>\"><b>' src=https://a.b/c>",
    "<meta http-equiv=refresh content='0;url=https://a.b'><base href=https://a.b>",
    "<a href=https://a.b/\u202e>x</a><bdo dir=rtl>x</bdo><p dir=evil lang='a b'>x</p>",
    "<td>x</td><tr><caption><col><li><dd><h1><h2>",
    "<table><table><tr><table><td>x",
    "<pre>\n\n\nx</pre><pre><br>\n</pre>",
    "&#0;&#x80;&#xd800;&notit;&ampamp",
]


def assert_safe(page: str) -> None:
    inside = page.partition('class="content"')[2].rpartition('class="below"')[0]
    allowed = {name for values in ATTRIBUTES.values() for name in values} | {"rel", "style"}
    reader = Reader(f'<td class="content"{inside}')
    assert set(reader.tags) <= TAGS
    for tag, name, value in reader.values[1:]:
        if (tag, name) in {("table", "class"), ("td", "class")}:
            continue
        assert name in allowed, (tag, name)
        if name in {"href", "src"}:
            assert re.match("https?://|mailto:", value, re.IGNORECASE), value
        if name == "style":
            assert "url" not in value
            assert "position" not in value


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_html_is_harmless(attack: str) -> None:
    assert_safe(html_of(f"before {attack}", "html"))
    clean = sanitise(attack)
    assert sanitise(clean) == clean


pieces = st.sampled_from(
    [f"<{tag}>" for tag in sorted(TAGS)]
    + [f"</{tag}>" for tag in sorted(TAGS)]
    + [
        "<a href=https://a.b>",
        "<b x='",
        "'>",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<svg>",
        "</svg>",
        "<math>",
        "<",
        ">",
    ]
    + [
        "\n",
        " ",
        "&",
        "&#x3c;",
        "text",
        '"',
        "<pre>\n",
        "<noscript>",
        "<select>",
        "<option>",
        "{{",
        "<object>",
        "<form>",
    ]
)


@settings(max_examples=300)
@given(st.lists(pieces, max_size=25).map("".join))
def test_any_soup_of_tags_is_harmless_and_sanitised_once_for_all(soup: str) -> None:
    try:
        clean = sanitise(soup)
    except InvalidEmailMessage:
        return
    assert sanitise(clean) == clean
    assert_safe(html_of(f"x{clean}", "html"))
    plain_text(parse(clean))


sentences = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(sentences, st.sampled_from(FORMATS))
@example("[a]: b", "markdown")
@example("\u200b", "html")
@example("~~~\n\n", "markdown")
def test_any_text_renders_in_any_format(contents: str, form: Format) -> None:
    try:
        result = rendered(contents, form)
    except InvalidEmailMessage:
        assert form != "text"
        return
    assert result.text.endswith(f"{UNSUBSCRIBE_PLACEHOLDER}\n")
    if form == "text":
        assert contents in result.text


@settings(max_examples=50)
@given(st.text(st.characters(categories=("L", "M", "N", "So", "Zs", "Cf")), min_size=1, max_size=200).filter(str.strip))
def test_words_survive_escaped_in_html(words: str) -> None:
    words = f"a{' '.join(words.split())}b"
    assert words in text_of(words, "html")
    assert words in Reader(html_of(words, "html")).text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("contents", ["a\0b", "a\ud800b", "a\x1b[0m"])
def test_what_is_no_text_is_refused(contents: str, form: Format) -> None:
    with pytest.raises(InvalidEmailMessage):
        rendered(contents, form)


@pytest.mark.parametrize(
    ("contents", "form"),
    [
        ("<p>&nbsp;</p><script>x</script>", "html"),
        ("<img src=https://a.b/c.png><hr>", "html"),
        ("<!-- only -->", "html"),
        ("\u200b", "markdown"),
        ("[a]: https://a.b", "markdown"),
        ("---", "markdown"),
    ],
)
def test_contents_that_show_nothing_are_refused(contents: str, form: Format) -> None:
    with pytest.raises(InvalidEmailMessage, match="Nothing"):
        rendered(contents, form)


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ("a\n<p title='x>", "tag in line 2"),
        ("<!-- x", "comment in line 1"),
        ("\n\n<script>x", "script in line 3"),
        ("<!doctype", "declaration in line 1"),
    ],
)
def test_html_that_does_not_end_is_refused(contents: str, problem: str) -> None:
    with pytest.raises(InvalidEmailMessage, match=f"{problem} of the HTML has no end"):
        rendered(contents, "html")


def test_what_is_nested_too_deeply_in_markdown_is_refused_and_not_left_out() -> None:
    with pytest.raises(InvalidEmailMessage, match="nested too deeply"):
        rendered("\n".join(" " * 2 * level + "- a" for level in range(20)))
    for deep in range(1, 25):
        try:
            text = text_of(">" * deep + " word")
        except InvalidEmailMessage:
            assert deep > 10
        else:
            assert text == "> " * deep + "word"


@pytest.mark.parametrize("depth", range(1, 12))
def test_brackets_inside_brackets_lose_nothing(depth: int) -> None:
    contents = "see " + "[a " * depth + "[x](https://a.b)" + " z]" * depth
    as_link = contents.replace("[x](https://a.b)", "x <https://a.b>")
    assert text_of(contents) in ({as_link} if depth < DEEPEST_INLINE else {as_link, contents})


@pytest.mark.parametrize(
    ("form", "contents"),
    [
        ("markdown", "[" * LARGEST),
        ("markdown", "![" * 500 + "*a_ " * (LARGEST // 10)),
        ("markdown", "<" * LARGEST),
        ("markdown", ">" * LARGEST),
        ("markdown", "> " * (LARGEST // 2)),
        ("markdown", "- " * (LARGEST // 2) + "a"),
        ("markdown", "- a\n" * (LARGEST // 4)),
        ("markdown", "`a" * (LARGEST // 2)),
        ("markdown", "[a]: https://x/" + "b" * 200_000 + "\n\n" + "[a]" * 999),
        ("html", "<" * LARGEST),
        ("html", "<a" * (LARGEST // 2)),
        ("html", "<!--" * (LARGEST // 4)),
        ("html", "<div>" * 50_000 + "a"),
        ("html", "a" + "<p>" * (LARGEST // 3)),
        ("html", "".join(f"<b x={number}>" for number in range(10_000)) + "<p>a" * 40_000),
        ("html", "<blockquote>" * 45 + "<br>a" * (MOST_ELEMENTS // 2)),
        ("html", "<tr><th>" + "a" * 100_000 + "<th>b" + "<tr><td>c<td>d" * 3_000),
    ],
    ids=lambda value: re.sub(r"\W+", "", value[:9]) if len(value) > 9 else value,
)
def test_hostile_contents_end_soon(form: Format, contents: str) -> None:
    began = time.process_time()
    try:
        result = rendered(contents, form)
    except InvalidEmailMessage:
        pass
    else:
        assert len(result.html or "") + len(result.text) < 5_000_000
    assert time.process_time() - began < SLOWEST


def test_the_layout_is_accessible_and_asks_nobody_for_anything() -> None:
    page = html_of("Hello", severity="critical", fixed_version="7.0.4", title="Update")
    reader = Reader(page)
    assert re.search('<html lang="en"', page)
    assert page.lower().startswith("<!doctype html>")
    assert page.index('<meta charset="utf-8">') < 1000
    assert reader.tags.count("table") == page.count('role="presentation"') - page.count("[if mso]><table") == 3
    assert "Severity: critical" in reader.text
    assert "Fixed in OpenEMR 7.0.4" in reader.text
    assert '<td class="content" dir="auto"' in page
    assert 'name="color-scheme" content="light dark"' in page
    assert "@media (prefers-color-scheme: dark)" in page
    assert page.count("<style") == 2, "the one for Outlook, and the one that cannot be inlined"
    assert "max-width: 600px" in page
    addresses = re.findall(r"(?:https?:)?//[^\s\"'<)]+", page)
    assert addresses == [UNSUBSCRIBE_PLACEHOLDER]
    assert ("a", "href", UNSUBSCRIBE_PLACEHOLDER) in reader.values
    assert len(page.encode()) < 6_000
    assert max(map(len, html_of(ADVISORY).splitlines())) < 998
    assert reader.text.strip().startswith("Severity: critical. Fixed in OpenEMR 7.0.4. Hello"), "the preheader"


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(colour: str) -> float:
        shares = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [layout.LIGHT, layout.DARK], ids=["light", "dark"])
def test_colours_have_contrast(palette: layout.Palette) -> None:
    colours = asdict(palette)
    for text in ("text", "weak", "link"):
        for ground in ("page", "card", "code"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for badge in [*layout.SEVERITIES.values(), layout.OTHER_SEVERITY]:
        assert contrast("#ffffff", badge) >= 4.5


def test_a_category_names_what_stops() -> None:
    assert "Stop security advisories about OpenEMR" in html_of("a", category="security")
    assert "Stop news about OpenEMR" in html_of("a", category="news")
    assert "To stop news about OpenEMR" in rendered("a", category="news").text


def test_a_long_opening_is_cut_between_words() -> None:
    page = html_of("<p> </p><p>" + "word " * 100, "html")
    preheader = re.search(r'class="preheader"[^>]*>([^<]*)<', page)
    assert preheader
    assert preheader[1].endswith("word …")
    assert len(preheader[1]) <= layout.LONGEST_PREHEADER + 2


def test_the_title_is_checked_and_trimmed() -> None:
    assert rendered("a", title=" T ") == rendered("a", title="T")
    with pytest.raises(InvalidEmailMessage, match="title"):
        rendered("a", title="a\nb")


def test_too_many_lines_are_refused_where_they_are_parsed() -> None:
    lines = "a\n" * MOST_LINES + "b"
    with pytest.raises(InvalidEmailMessage, match="lines; at most"):
        rendered(lines)
    assert rendered(lines, "text").text.startswith(lines)


def sha256(title: str, parts: Rendered) -> str:
    return content_sha256(title, parts.text, parts.html)


def test_the_same_input_gives_the_same_bytes_in_every_process() -> None:
    program = (
        "import sys; from hostemr.registration.broadcasts.content import *\n"
        "from hostemr.registration.content_hash import content_sha256\n"
        "r = render(title='T', contents=sys.argv[1], format='markdown', category='news', severity='low')\n"
        "print(content_sha256('T', r.text, r.html))"
    )
    here = [sha256("T", rendered(ADVISORY, title="T", category="news", severity="low")) for _ in range(5)]
    command = [sys.executable, "-W", "error", "-c", program, ADVISORY]
    there = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert {*here, there} == {there}


def test_the_hash_tells_parts_apart() -> None:
    hashes = [
        sha256("a", Rendered("b", None)),
        sha256("a", Rendered("b", "")),
        sha256("ab", Rendered("", None)),
        sha256("a", Rendered("", "b")),
    ]
    assert all(one != other for one, other in pairwise(sorted(hashes)))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.md", "markdown"),
        ("a.MARKDOWN", "markdown"),
        ("a.html", "html"),
        ("a.b.HTM", "html"),
        ("a.txt", "text"),
        ("md", "text"),
    ],
)
def test_a_file_name_tells_the_format(name: str, form: Format) -> None:
    assert format_of(Path("directory.md") / name) == form
