"""A clinic: tables such as OpenEMR's in InnoDB, documents such as patients bring, and what a day adds to them."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Callable, Iterator
from itertools import accumulate

from tests.host.machine import Machine

SMALLEST, LARGEST = 20_000, 5_000_000
DOCUMENTS_A_DAY = 10
_BATCH = 8 * 2**20
_ROWS = 200

_SCHEMA = """
CREATE TABLE openemr.form_encounter (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, date DATETIME, reason LONGTEXT, facility VARCHAR(255), pid BIGINT,
    encounter BIGINT, KEY pid_encounter (pid, encounter), KEY (date)
) ENGINE=InnoDB;
CREATE TABLE openemr.form_soap (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, date DATETIME, pid BIGINT, user VARCHAR(255), subjective TEXT,
    objective TEXT, assessment TEXT, plan TEXT
) ENGINE=InnoDB;
CREATE TABLE openemr.billing (
    id INT AUTO_INCREMENT PRIMARY KEY, date DATETIME, code_type VARCHAR(15), code VARCHAR(20), pid BIGINT,
    code_text LONGTEXT, fee DECIMAL(12,2), KEY (pid)
) ENGINE=InnoDB;
"""
CHANGING = {
    "log": "comments",
    "form_encounter": "reason",
    "form_soap": "plan",
    "billing": "code_text",
}
"""The large tables, each with a column of text."""


class Clinic:
    """Makes rows and documents, the same ones in each run, and adds them to a server."""

    def __init__(self) -> None:
        self._source = random.Random(4711)
        words = [self._word() for _ in range(4000)]
        # A few words make up most of a text (Zipf); so much does a real note compress, too.
        weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
        self._sentences = [
            " ".join(self._source.choices(words, cum_weights=weights, k=self._source.randint(7, 15))).capitalize() + "."
            for _ in range(100_000)
        ]

    def fill(self, machine: Machine, *, database: int, files: int, tell: Callable[[str], None]) -> None:
        """Tables of `database` bytes on the disk and documents of `files` bytes."""
        machine.sql(_SCHEMA)
        folder = machine.layout.current / "database" / "openemr"
        while (size := sum(path.stat().st_size for path in folder.glob("*.ibd"))) < database:
            tell(f"tables: {size / 2**20:.0f} of {database / 2**20:.0f} MiB")
            machine.sql(self._rows(min(_BATCH, database - size)))
        written = 0
        while written < files:
            written += self._document(machine)

    def ordinary_day(self, machine: Machine) -> None:
        """Patients come: a hundredth of the tables' text is added at their ends, and ten documents."""
        self._source = random.Random(2)
        folder = machine.layout.current / "database" / "openemr"
        wanted = sum(path.stat().st_size for path in folder.glob("*.ibd")) // 100
        machine.sql(self._rows(wanted))
        self._documents(machine)

    def scattered_day(self, machine: Machine) -> None:
        """Every hundredth row of the large tables is changed, so about every fourth page; ten documents come."""
        self._source = random.Random(3)
        for table, column in CHANGING.items():
            text = self._note(2)
            machine.sql(
                f"UPDATE openemr.{table} SET {column} = INSERT({column}, 1, {len(text)}, '{text}') WHERE id % 100 = 37"
            )
        self._documents(machine)

    def _documents(self, machine: Machine) -> None:
        for _ in range(DOCUMENTS_A_DAY):
            self._document(machine)

    def _document(self, machine: Machine) -> int:
        """One document: sizes are spread evenly by their logarithms; three in ten bytes are XML."""
        source = self._source
        size = round(SMALLEST * (LARGEST / SMALLEST) ** source.random())
        if source.random() < 0.3:
            name, body = "xml", self._ccda(size)
        elif source.random() < 0.5:
            name, body = "jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF" + source.randbytes(size - 10)
        else:
            name, body = "pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + source.randbytes(size - 50)
        folder = machine.sites / "default/documents" / str(source.randint(1, 2000))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{uuid.UUID(bytes=source.randbytes(16))}.{name}").write_bytes(body)
        return len(body)

    def _ccda(self, size: int) -> bytes:
        """A summary of care, in the format's own verbosity."""
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3">\n'
        parts = [head]
        length = len(head)
        while length < size:
            entry = (
                '  <entry typeCode="DRIV"><observation classCode="OBS" moodCode="EVN">'
                f'<id root="{uuid.UUID(bytes=self._source.randbytes(16))}"/>'
                '<templateId root="2.16.840.1.113883.10.20.22.4.2"/>'
                f'<code code="{self._source.randint(1000, 99999)}-{self._source.randint(0, 9)}" '
                'codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"/><statusCode code="completed"/>'
                f'<value xsi:type="PQ" value="{self._source.randint(1, 300)}" unit="mg/dL"/>'
                f"<text>{self._note(2)}</text></observation></entry>\n"
            )
            parts.append(entry)
            length += len(entry)
        return "".join([*parts, "</ClinicalDocument>\n"]).encode()

    def _rows(self, size: int) -> str:
        """Statements that add about `size` bytes to the tables: most goes to the audit log, as in OpenEMR."""
        statements = ["SET autocommit = 0;"]
        length = 0
        while length < size:
            for table, columns, rows in (
                ("log", "comments", self._log),
                ("form_soap", "date, pid, user, subjective, objective, assessment, plan", self._soap),
                ("form_encounter", "date, reason, facility, pid, encounter", self._encounters),
                ("billing", "date, code_type, code, pid, code_text, fee", self._billing),
            ):
                statement = f"INSERT INTO openemr.{table} ({columns}) VALUES {','.join(rows())};"
                statements.append(statement)
                length += len(statement)
        return "\n".join([*statements, "COMMIT;"])

    def _log(self) -> Iterator[str]:
        for _ in range(_ROWS):
            # OpenEMR keeps the statement that was run, in Base64.
            sql = f"UPDATE form_soap SET plan = '{self._note(3)}' WHERE pid = {self._source.randint(1, 20000)}"
            yield f"('{base64.b64encode(sql.encode()).decode()}')"

    def _soap(self) -> Iterator[str]:
        for _ in range(_ROWS // 2):
            notes = ", ".join(f"'{self._note(2)}'" for _ in range(4))
            yield f"({self._date()}, {self._source.randint(1, 20000)}, 'dr{self._source.randint(1, 9)}', {notes})"

    def _encounters(self) -> Iterator[str]:
        for _ in range(_ROWS // 2):
            pid, number = self._source.randint(1, 20000), self._source.randint(1, 10**6)
            yield f"({self._date()}, '{self._note(1)}', 'Clinic', {pid}, {number})"

    def _billing(self) -> Iterator[str]:
        for _ in range(_ROWS // 2):
            code, pid, fee = (self._source.randint(1, most) for most in (99999, 20000, 400))
            yield f"({self._date()}, 'CPT4', '{code:05}', {pid}, '{self._note(1)}', {fee})"

    def _date(self) -> str:
        source = self._source
        day = f"{source.randint(2015, 2026)}-{source.randint(1, 12):02}-{source.randint(1, 28):02}"
        return f"'{day} {source.randint(8, 18):02}:{source.randint(0, 59):02}:00'"

    def _note(self, sentences: int) -> str:
        return " ".join(self._source.choices(self._sentences, k=sentences))

    def _word(self) -> str:
        syllables = ("ta", "ri", "no", "pe", "lo", "mi", "sa", "ve", "du", "ka", "en", "ost", "al", "ith")
        return "".join(self._source.choices(syllables, k=self._source.randint(1, 4)))
