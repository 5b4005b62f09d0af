"""Reads the rows of `product` from a SQL dump, as mysqldump, mariadb-dump and phpMyAdmin write them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TextIO

from hostemr.registration.legacy.row import EMAIL, TABLE, UUID, LegacyRow, UnreadableSource, find_columns
from hostemr.registration.legacy.sql import END, WINDOW, Token, Tokens

_NO_COLUMNS = {"PRIMARY", "KEY", "UNIQUE", "INDEX", "CONSTRAINT", "FULLTEXT", "SPATIAL", "CHECK", "FOREIGN", "PERIOD"}
_CREATE_OPTIONS = {"OR", "REPLACE", "TEMPORARY"}
_INSERT_OPTIONS = {"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"}
_AFTER_VALUES = {"ON", "AS", "RETURNING"}


def read_dump(text: TextIO, window: int = WINDOW) -> Iterator[LegacyRow]:
    """The rows of every INSERT and REPLACE for `product`; other tables are passed over.

    Raises UnreadableSource after the last row where the dump is incomplete, or has no such table.
    """
    return _Dump(Tokens(text, window)).rows()


class _Dump:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        # The original's, for a dump without CREATE TABLE.
        self._columns: Sequence[str] = (UUID, EMAIL)
        self._found = False
        self._other_columns: Sequence[str] = ()

    def rows(self) -> Iterator[LegacyRow]:
        while (token := self._tokens.next()) is not END:
            if token.keyword in {"INSERT", "REPLACE"}:
                yield from self._insert(f"INSERT at line {self._tokens.line}")
            elif token.keyword == "CREATE":
                self._create()
            elif token.keyword == "DELIMITER":
                self._tokens.skip_routines()
            else:
                self._tokens.skip_statement(token)
        if self._tokens.cut_short:
            message = "The dump is incomplete: it ends without `-- Dump completed`."
            raise UnreadableSource([message], hint="make the dump again, and import that one too")
        if not self._found:
            got = f"; got a table of that name with: {', '.join(self._other_columns)}" if self._other_columns else ""
            message = f"The dump has no table `{TABLE}` with the columns `{UUID}` and `{EMAIL}`{got}."
            raise UnreadableSource([message])

    def _create(self) -> None:
        token = self._next(_CREATE_OPTIONS)
        if token.keyword == "TABLE":
            name, token = self._name(self._next({"IF", "NOT", "EXISTS"}))
            if name == TABLE and token.is_mark("("):
                self._columns = self._column_names(f"CREATE TABLE at line {self._tokens.line}")
                self._judge(self._columns)
                token = self._tokens.next()
        self._tokens.skip_statement(token)

    def _insert(self, place: str) -> Iterator[LegacyRow]:
        name, token = self._name(self._next(_INSERT_OPTIONS))
        if name != TABLE:
            self._tokens.skip_statement(token)
            return
        columns = self._columns
        if token.is_mark("("):
            columns = self._column_names(place)
            token = self._tokens.next()
        if self._judge(columns):
            if token.keyword in {"VALUES", "VALUE"}:
                token = yield from self._rows_of(place, columns)
            else:
                yield LegacyRow(place, problem="only INSERT with VALUES can be read")
        if not self._tokens.skip_statement(token):
            raise _ends_within(place)

    def _judge(self, columns: Sequence[str]) -> bool:
        """Whether these are the columns of the original, and not of another table that has its name."""
        if find_columns(columns) is None:
            self._other_columns = columns
            return False
        self._found = True
        return True

    def _rows_of(self, place: str, columns: Sequence[str]) -> Generator[LegacyRow, None, Token]:
        """The rows behind VALUES; returns the token behind the last."""
        uuid, email = find_columns(columns) or (0, 1)
        number = 0
        while True:
            number += 1
            row = f"row {number} of {place}"
            token = self._tokens.next()
            if not token.is_mark("("):
                yield LegacyRow(row, problem="no bracket: this statement cannot be read further")
                return token
            values = self._row(place)
            if len(values) == len(columns):
                yield LegacyRow(row, values[uuid], values[email])
            else:
                yield LegacyRow(row, problem=f"has {len(values)} values; expected {len(columns)}")
            token = self._tokens.next()
            if not token.is_mark(","):
                if not (token.is_mark(";") or token is END or token.keyword in _AFTER_VALUES):
                    yield LegacyRow(f"after {row}", problem="no comma: this statement cannot be read further")
                return token

    def _row(self, place: str) -> list[str | None]:
        """The values up to the closing bracket."""
        values: list[str | None] = []
        parts: list[Token] = []
        depth = 0
        while (token := self._tokens.next()) is not END:
            if depth == 0 and token.is_mark(",", ")"):
                values.append(_value(parts))
                parts = []
                if token.text == ")":
                    return values
                continue
            depth += token.is_mark("(") - token.is_mark(")")
            parts.append(token)
        raise _ends_within(place)

    def _column_names(self, place: str) -> list[str]:
        """The names in the brackets of CREATE TABLE or INSERT, up to the closing one."""
        names: list[str] = []
        depth, begins = 1, True
        while (token := self._tokens.next()) is not END:
            if begins and token.kind != "mark" and token.keyword not in _NO_COLUMNS:
                names.append(token.text)
            depth += token.is_mark("(") - token.is_mark(")")
            if depth == 0:
                return names
            begins = depth == 1 and token.is_mark(",")
        raise _ends_within(place)

    def _next(self, options: set[str]) -> Token:
        """The first token that is none of these words."""
        while (token := self._tokens.next()).keyword in options:
            pass
        return token

    def _name(self, token: Token) -> tuple[str, Token]:
        """A table's name in small letters, without its database's, and the token behind it."""
        name = token.text
        while (token := self._tokens.next()).is_mark("."):
            name = self._tokens.next().text
        return name.lower(), token


def _value(parts: list[Token]) -> str | None:
    """What a literal stands for. Of any other expression its words, which are no address."""
    if [part.keyword for part in parts] == ["NULL"]:
        return None
    # A text may say which character set it is in: _binary 'a@example.org'.
    if len(parts) == 2 and parts[0].keyword.startswith("_"):
        parts = parts[1:]
    # `mysqldump --hex-blob`
    if len(parts) == 1 and parts[0].keyword.startswith("0X"):
        try:
            return bytes.fromhex(parts[0].text[2:]).decode(errors="surrogateescape")
        except ValueError:
            pass
    return "".join(part.text for part in parts)


def _ends_within(place: str) -> UnreadableSource:
    message = f"The dump is incomplete: it ends within the {place}."
    return UnreadableSource([message], hint="make the dump again, and import that one too")
