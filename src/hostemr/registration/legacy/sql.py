"""Cuts SQL into tokens as a MySQL client and server would, in constant memory however long a line or a value is."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TextIO, cast

WINDOW = 65_536
LOOK_AHEAD = 40
"""Characters that are enough to recognise what begins: a comment, or the first words of mysqldump's."""
LONGEST_VALUE = 1_024
"""What is kept of a word or a text. No address and no UUID is longer."""

_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[\w$@]+")
# Two short cuts for what lies within the window, which is nearly everything: a token without
# escapes, and all that can be passed over at once in a statement for another table.
_USUAL = re.compile(r"\s*(?:(?P<mark>[(),;.])|'(?P<text>[^'\\]{0,1000})'(?=[^'])|(?P<word>[\w$@]{1,1000})(?=[^\w$@]))")
_DULL = re.compile(r"(?:[^'\"`;#/-]+|'[^'\\]*(?:\\.[^'\\]*)*')+", re.DOTALL)
_PIECE = {
    "'": re.compile(r"[^'\\]+|\\.", re.DOTALL),
    '"': re.compile(r'[^"\\]+|\\.', re.DOTALL),
    "`": re.compile(r"[^`]+"),
}
# https://dev.mysql.com/doc/refman/8.4/en/string-literals.html, table "Special Character Escape Sequences"
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}
_DUMP_BEGINS = ("-- MySQL dump", "-- MariaDB dump")
_DUMP_ENDS = "-- Dump completed"


Kind = Literal["word", "text", "name", "mark", "end"]


class Token(NamedTuple):
    """A word, a text in single or double quotes, a name in back quotes, one other character, or the end of it all."""

    kind: Kind
    text: str

    def is_mark(self, *marks: str) -> bool:
        """Whether it is one of these characters, outside quotes."""
        return self.kind == "mark" and self.text in marks

    @property
    def keyword(self) -> str:
        """A word in capitals; nothing for every other kind."""
        return self.text.upper() if self.kind == "word" else ""


END = Token("end", "")


class Tokens:
    """The tokens of a text, without its comments.

    `/*! … */` is left out as well: dumps put nothing into it that says what a table holds.
    """

    def __init__(self, text: TextIO, window: int = WINDOW) -> None:
        self._text = text
        self._size = window
        self._window = ""
        self._at = 0
        self._lines_gone = 0
        self.cut_short = False
        """Whether the text ends before what it began: a dump that does not say that it is complete."""

    @property
    def line(self) -> int:
        """The number of the line that has been reached."""
        return self._lines_gone + self._window.count("\n", 0, self._at) + 1

    def next(self) -> Token:
        """The next token. A text without its closing quote is the end."""
        while self._ensure(LOOK_AHEAD):
            usual = _USUAL.match(self._window, self._at)
            if usual:
                self._at = usual.end()
                kind = cast("Kind", usual.lastgroup)
                return Token(kind, usual[kind])
            character = self._window[self._at]
            if character in _PIECE:
                return self._quoted(character)
            if character.isspace():
                self._run(_SPACE)
            elif word := self._run(_WORD):
                return Token("word", word)
            elif not self._skip_comment():
                self._at += 1
                return Token("mark", character)
        return END

    def skip_statement(self, token: Token) -> bool:
        """Go on behind the `;` that ends the statement of `token`; False where the text ends before."""
        while not token.is_mark(";"):
            if token is END:
                return False
            self._run(_DULL)
            token = self.next()
        return True

    def skip_routines(self) -> None:
        """After the word DELIMITER: pass the triggers and procedures up to `DELIMITER ;`."""
        if self.next().is_mark(";") and not self._window.startswith(";", self._at):
            return
        if not self._skip_to("\nDELIMITER ;"):
            self.cut_short = True

    def _ensure(self, characters: int) -> bool:
        """Have so many characters in the window, if the text has them; False at its end."""
        while len(self._window) - self._at < characters and self._fill():
            pass
        return self._at < len(self._window)

    def _fill(self) -> bool:
        piece = self._text.read(self._size)
        if piece:
            self._lines_gone += self._window.count("\n", 0, self._at)
            self._window = self._window[self._at :] + piece
            self._at = 0
        return bool(piece)

    def _run(self, pattern: re.Pattern[str]) -> str:
        """All characters from here on that the pattern takes; only the first of very many are kept."""
        kept = ""
        while self._ensure(1) and (match := pattern.match(self._window, self._at)):
            self._at = match.end()
            kept += match[0][: LONGEST_VALUE - len(kept)]
        return kept

    def _quoted(self, quote: str) -> Token:
        pattern = _PIECE[quote]
        self._at += 1
        kept = ""
        while self._ensure(2):
            match = pattern.match(self._window, self._at)
            if match:
                piece = match[0]
                self._at = match.end()
                if piece[0] == "\\" and quote != "`":
                    piece = _ESCAPES.get(piece[1], piece[1])
            elif self._window.startswith(quote * 2, self._at):
                piece = quote
                self._at += 2
            elif self._window[self._at] == quote:
                self._at += 1
                return Token("name" if quote == "`" else "text", kept)
            else:
                break
            kept += piece[: LONGEST_VALUE - len(kept)]
        self._at = len(self._window)
        return END

    def _skip_comment(self) -> bool:
        start = self._window[self._at : self._at + LOOK_AHEAD]
        if start.startswith("/*"):
            self._at += 2
            self._skip_to("*/")
        # Two minus signs begin a comment only where a space follows: 5--3 is 8.
        elif start.startswith("#") or (start.startswith("--") and start[2:3].strip() == ""):
            self.cut_short = start.startswith(_DUMP_BEGINS) or (self.cut_short and not start.startswith(_DUMP_ENDS))
            self._skip_to("\n")
        else:
            return False
        return True

    def _skip_to(self, stop: str) -> bool:
        while (found := self._window.find(stop, self._at)) < 0:
            self._at = max(self._at, len(self._window) - len(stop) + 1)
            if not self._fill():
                self._at = len(self._window)
                return False
        self._at = found + len(stop)
        return True
