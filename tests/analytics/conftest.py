"""One Spark session for all tests of a process, and the exports that they read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.analytics import clinic
from tests.analytics.exports import write_export

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""These runs are over before the second compiler pays."""


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    pytest.importorskip("pyspark", reason="needs pyspark")
    if shutil.which("java") is None:
        pytest.skip("needs java, 17 or later")
    from pyspark.sql import SparkSession

    here = "127.0.0.1"
    builder = SparkSession.builder.master("local[2]").appName("tests")
    builder = builder.config("spark.driver.host", here).config("spark.driver.bindAddress", here)
    # Compiling Java for a few hundred rows takes most of the time; the guide's two files are run with it.
    builder = builder.config("spark.sql.codegen.wholeStage", "false").config("spark.sql.adaptive.enabled", "false")
    builder = builder.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.driver.extraJavaOptions", QUICK_JAVA).config("spark.log.level", "ERROR")
    # Rows made by the tests are in UTC, as an export is; test_visits sets another zone before it counts.
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="session")
def openmrs_exports(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clinic's export, an older one of little, and a newer one that is not complete."""
    root = tmp_path_factory.mktemp("openmrs") / "exports"
    whole = write_export(spark, root, "clinic-b", "openmrs", clinic.openmrs())
    older = root / "clinic-a"
    shutil.copytree(whole / "openmrs", older / "openmrs")
    for name in ("export_info_clinic-b.json", "export_tables_info_clinic-b_from_1_to_3.json"):
        text = (whole / name).read_text().replace("2024-07-01", "2023-01-01")
        (older / name.replace("clinic-b", "clinic-a")).write_text(text)
    shutil.rmtree(older / "openmrs/openmrs.visit/2")
    newer = root / "clinic-c"
    newer.mkdir()
    (newer / "export_info_clinic-c.json").write_text('{"status": "IN_PROGRESS", "taskStartTime": "2024-08-01T00:00"}')
    (root / "somebody's notes").mkdir()
    return root


@pytest.fixture(scope="session")
def openemr_export(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(spark, tmp_path_factory.mktemp("openemr"), "emr", "openemr", clinic.openemr())
