"""The applications that have deployments on Fargate."""

from __future__ import annotations

from hostemr.deployment.application import Application
from hostemr.deployment.openemr import OPENEMR
from hostemr.deployment.openmrs import OPENMRS

APPLICATIONS: dict[str, Application] = {application.name: application for application in (OPENEMR, OPENMRS)}
"""By name."""
