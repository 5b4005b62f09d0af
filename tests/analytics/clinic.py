"""A clinic's patients and visits, made up, with everything odd that such tables hold; and what is to be counted.

`expected` works on the same rows in plain Python with real dates, and shares no code with the job.
"""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import NamedTuple

from tests.analytics.exports import MadeTable

TAKEN = datetime(2024, 7, 1, 3, 0, tzinfo=UTC)


class Person(NamedTuple):
    """`birth` as a DATE column holds it; a person who is `gone` was voided or has no row at all."""

    number: int
    birth: str | None
    sex: str | None
    gone: str = ""


class Visit(NamedTuple):
    patient: int
    day: datetime | None
    deleted: bool = False


def people() -> list[Person]:
    chance = random.Random(7)
    many = [
        Person(100000 + n, date(1930 + n % 94, 1 + n % 12, 1 + n % 28).isoformat(), chance.choice(["F", "M"]))
        for n in range(400)
    ]
    odd = [
        Person(200001, None, "F"),
        Person(200002, "0000-00-00", "F"),
        Person(200003, "1931-06-30", "M"),  # 92 and 93
        Person(200004, "1934-03-01", "F"),  # turns 90 on 1 March 2024
        Person(200005, "2030-01-01", "M"),  # born after each visit
        Person(200006, "1850-01-01", "M"),  # over 120
        Person(200007, "1980-00-00", None),
        Person(200008, "2004-02-29", "X"),
        Person(200009, "", ""),
        Person(200010, "1990-05-05", " female "),
        Person(300001, "1970-01-01", "F", gone="patient voided"),
        Person(300002, "1970-01-01", "F", gone="person voided"),
        Person(300003, "1970-01-01", "F", gone="no patient"),
    ]
    crowd = [Person(400000 + n, None if n % 2 else "0000-00-00", ("U", "O", "", None)[n % 4]) for n in range(40)]
    return [*many, *odd, *crowd]


def visits() -> list[Visit]:
    chance = random.Random(8)
    regular = [
        Visit(
            person.number,
            datetime(chance.choice([2022, 2023, 2023, 2024]), chance.randint(1, 6), chance.randint(1, 28), 23, 59, 59),  # noqa: DTZ001, MySQL's DATETIME has no zone
        )
        for person in people()
        for _ in range(3)
    ]
    at = datetime(2024, 2, 29, 8, 0)  # noqa: DTZ001
    return [
        *regular,
        *(Visit(100000 + n, at, deleted=True) for n in range(25)),
        Visit(200004, at),
        Visit(200004, datetime(2024, 3, 1, 0, 0)),  # noqa: DTZ001
        Visit(100001, None),
        Visit(100002, datetime(1, 1, 1)),  # noqa: DTZ001, what a zero date may become
        *(Visit(100000 + n, datetime(2031, 1, 1)) for n in range(12)),  # noqa: DTZ001
        Visit(100003, datetime(2024, 7, 2, 10, 0)),  # noqa: DTZ001, a clock ahead of UTC
        Visit(999999, at),
    ]


def expected(
    persons: list[Person], seen: list[Visit]
) -> tuple[dict[str, int], dict[tuple[int, str, str], tuple[int, int]]]:
    """Numbers left out by reason, and patients and visits of each (year, band, sex)."""
    known = {person.number: person for person in persons if not person.gone}
    excluded = {"deleted": 0, "patient deleted or unknown": 0, "no date": 0, "after the export": 0}
    cells: dict[tuple[int, str, str], list[int]] = defaultdict(list)
    for visit in seen:
        if visit.deleted:
            excluded["deleted"] += 1
        elif visit.patient not in known:
            excluded["patient deleted or unknown"] += 1
        elif visit.day is None or visit.day.year < 1900:
            excluded["no date"] += 1
        elif visit.day.date() > date(2024, 7, 2):
            excluded["after the export"] += 1
        else:
            person = known[visit.patient]
            cells[visit.day.year, _band(person.birth, visit.day.date()), _sex(person.sex)].append(visit.patient)
    return excluded, {key: (len(set(patients)), len(patients)) for key, patients in cells.items()}


def _band(birth: str | None, on: date) -> str:
    try:
        born = date.fromisoformat(birth or "")
    except ValueError:
        return "unknown"
    age = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    if not 0 <= age <= 120:
        return "unknown"
    if age >= 90:
        return "90+"
    lower = max(start for start in (0, 5, 15, 25, 35, 45, 55, 65, 75) if start <= age)
    upper = {0: 4, 5: 14, 75: 89}.get(lower, lower + 9)
    return f"{lower:02}-{upper:02}"


def _sex(written: str | None) -> str:
    match (written or "").strip().lower():
        case "f" | "female":
            return "female"
        case "m" | "male":
            return "male"
        case _:
            return "other or unknown"


def openmrs() -> dict[str, MadeTable]:
    """The tables as OpenMRS keeps them; flags as BIT in one table and TINYINT in the others."""
    rows = [
        (number, visit.patient, visit.day, b"\x01" if visit.deleted else b"\x00", f"uuid-{number:032}")
        for number, visit in enumerate(visits(), 1)
    ]
    persons = [
        (one.number, one.sex, one.birth, int(one.gone == "person voided"), f"uuid-person-{one.number}")
        for one in people()
    ]
    patients = [
        (one.number, int(one.gone == "patient voided"), "Unknown") for one in people() if one.gone != "no patient"
    ]
    return {
        "visit": MadeTable("visit_id int, patient_id int, date_started timestamp, voided binary, uuid string", rows),
        "person": MadeTable("person_id int, gender string, birthdate string, voided tinyint, uuid string", persons),
        "patient": MadeTable("patient_id int, voided tinyint, allergy_status string", patients),
    }


def openemr() -> dict[str, MadeTable]:
    """The same clinic as OpenEMR keeps it: who is gone has no row, and a deleted encounter's form says so."""
    encounters = [(number, visit.day, visit.patient, 5000 + number) for number, visit in enumerate(visits(), 1)]
    forms = [
        (number, 5000 + number, visit.patient, "newpatient", int(visit.deleted))
        for number, visit in enumerate(visits(), 1)
    ]
    # Other forms of an encounter do not matter, deleted or not.
    forms += [(number + 10**6, encounter, pid, "vitals", number % 2) for number, encounter, pid, _, _ in forms]
    patients = [
        (one.number, f"Zebedee{one.number}", f"Quillfeather{one.number}", f"999-00-{one.number}", one.birth, one.sex)
        for one in people()
        if not one.gone
    ]
    return {
        "form_encounter": MadeTable("id bigint, date timestamp, pid bigint, encounter bigint", encounters),
        "forms": MadeTable("id bigint, encounter bigint, pid bigint, formdir string, deleted tinyint", forms),
        "patient_data": MadeTable(
            "pid bigint, fname string, lname string, ss string, DOB string, sex string", patients
        ),
    }
