"""Where each application keeps visits and patients, and what it calls deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812

from hostemr.analytics.tables import Columns

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Tables = Mapping[str, "DataFrame"]


@dataclass(frozen=True)
class Application:
    """How one application is read.

    `database` is its usual name. `visits` has the columns patient, day (text), deleted; `patients`, without deleted
    ones, has patient, birth (text), sex (as written).
    """

    database: str
    columns: Mapping[str, Columns]
    visits: Callable[[Tables], DataFrame]
    patients: Callable[[Tables], DataFrame]


def _kept(voided: str) -> Column:
    # Not knowing whether a row was deleted counts as deleted.
    return ~F.coalesce(F.col(voided), F.lit(True))


def _openmrs_visits(tables: Tables) -> DataFrame:
    return tables["visit"].select(
        F.col("patient_id").alias("patient"), F.col("date_started").alias("day"), (~_kept("voided")).alias("deleted")
    )


def _openmrs_patients(tables: Tables) -> DataFrame:
    patients = tables["patient"].where(_kept("voided")).select(F.col("patient_id").alias("patient"))
    persons = tables["person"].where(_kept("voided"))
    persons = persons.select(
        F.col("person_id").alias("patient"), F.col("birthdate").alias("birth"), F.col("gender").alias("sex")
    )
    return patients.join(persons, "patient")


def _openemr_visits(tables: Tables) -> DataFrame:
    # Encounters have no mark of their own: the form that opened one has, and OpenEMR's reports join it too.
    forms = tables["forms"].where((F.col("formdir") == "newpatient") & _kept("deleted"))
    forms = forms.select(F.col("pid").alias("patient"), "encounter").distinct().withColumn("form", F.lit(True))
    encounters = tables["form_encounter"].select(F.col("pid").alias("patient"), "encounter", F.col("date").alias("day"))
    joined = encounters.join(forms, ["patient", "encounter"], "left")
    return joined.select("patient", "day", F.col("form").isNull().alias("deleted"))


def _openemr_patients(tables: Tables) -> DataFrame:
    # OpenEMR removes the row of a patient whom it deletes.
    return tables["patient_data"].select(F.col("pid").alias("patient"), F.col("DOB").alias("birth"), F.col("sex"))


APPLICATIONS = {
    "openmrs": Application(
        "openmrs",
        {
            "visit": {"patient_id": "number", "date_started": "date", "voided": "flag"},
            "patient": {"patient_id": "number", "voided": "flag"},
            "person": {"person_id": "number", "birthdate": "date", "gender": "text", "voided": "flag"},
        },
        _openmrs_visits,
        _openmrs_patients,
    ),
    "openemr": Application(
        "openemr",
        {
            "form_encounter": {"pid": "number", "encounter": "number", "date": "date"},
            "forms": {"pid": "number", "encounter": "number", "formdir": "text", "deleted": "flag"},
            "patient_data": {"pid": "number", "DOB": "date", "sex": "text"},
        },
        _openemr_visits,
        _openemr_patients,
    ),
}
"""OpenMRS 2.x (its schema of 2.7) and OpenEMR 7 (its database.sql)."""
