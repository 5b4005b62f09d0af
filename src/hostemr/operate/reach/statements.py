"""SQL as far as it must be understood before it is sent: where statements end, what they do, what they ask for.

MySQL's words: strings, quoted names and comments hide what is in them, save comments that begin with an exclamation
mark, which MySQL runs. https://dev.mysql.com/doc/refman/8.0/en/comments.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_HIDING = re.compile(
    r"""
    (?P<comment>/\*(?![!+]).*?(?:\*/|\Z) | --(?=[\x00-\x20\x7f]|\Z)[^\n]* | \#[^\n]*)
    | (?P<text>'(?:[^'\\]|\\.|'')*(?:'|\Z) | "(?:[^"\\]|\\.|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z))
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*|[()]|/\*!")
# Not after a colon, an @ or a name: `::`, `@a:=1`, `10:30`.
_PLACEHOLDER = re.compile(r"(?<![:\w@]):([A-Za-z_]\w*)")
_READING = frozenset({"SELECT", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "WITH", "TABLE", "VALUES"})
_CHANGING = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_DEFINING = frozenset({"ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE", "OPTIMIZE", "ANALYZE", "REPAIR"})


@dataclass(frozen=True)
class Statement:
    """One statement, as written and without what hides nothing that matters."""

    text: str
    bare: str

    @cached_property
    def _words(self) -> tuple[str, ...]:
        return tuple(found.group().upper() for found in _WORD.finditer(self.bare))

    @property
    def verb(self) -> str:
        """Its first word, such as SELECT; empty where it has none."""
        return next((word for word in self._words if word not in "()"), "")

    @property
    def only_reads(self) -> bool:
        """Whether it can change nothing, save through a function of the database that does.

        SELECT … INTO writes files, buckets and variables. WITH may begin an UPDATE or a DELETE, and EXPLAIN ANALYZE
        runs what it explains.
        """
        if self.verb not in _READING or "INTO" in self._words or "/*!" in self._words:
            return False
        if self.verb == "WITH" or (self.verb in {"EXPLAIN", "DESCRIBE", "DESC"} and "ANALYZE" in self._words):
            return not _CHANGING & set(self._outside_of_parentheses())
        return True

    @property
    def defines(self) -> bool:
        """Whether it changes the schema, which MySQL commits at once and which must not be cut off half way."""
        return self.verb in _DEFINING

    @property
    def placeholders(self) -> frozenset[str]:
        """The names of the parameters that it asks for, as `:name`."""
        return frozenset(_PLACEHOLDER.findall(self.bare))

    def _outside_of_parentheses(self) -> Iterator[str]:
        depth = 0
        for word in self._words:
            depth += {"(": 1, ")": -1}.get(word, 0)
            if depth == 0:
                yield word


def split(sql: str) -> list[Statement]:
    """The statements of a text, in order, without the semicolons between them."""
    # As long as the original, so that places in the one are places in the other.
    bare = _HIDING.sub(lambda found: ("." if found["text"] else " ") * len(found.group()), sql)
    found, start = [], 0
    for end in [*(at for at, sign in enumerate(bare) if sign == ";"), len(bare)]:
        if bare[start:end].strip():
            found.append(Statement(sql[start:end].strip(), bare[start:end]))
        start = end + 1
    return found
