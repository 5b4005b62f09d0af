"""Three sizes of a deployment: named sets of defaults, each with what it is for and what it gives up.

A size chooses defaults only: any setting that is given overrides it. A setting that no size names has
one default for all, in `table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class DeploymentSize:
    """One size: `defaults` by attribute, `purpose` in a sentence, and one line for each thing it gives up."""

    name: str
    purpose: str
    gives_up: tuple[str | Mapping[str, str], ...]
    """A line for all, or lines by the application that they hold for."""
    defaults: Mapping[str, object]

    def gives_up_for(self, application: str) -> tuple[str, ...]:
        """What this size gives up for one application."""
        lines = (line if isinstance(line, str) else line.get(application) for line in self.gives_up)
        return tuple(line for line in lines if line is not None)


TRIAL = DeploymentSize(
    name="trial",
    purpose="To look at the application without patients' data, for as little as AWS lets it cost.",
    gives_up=(
        "One task: a new version, or a task that fails, means minutes without the application.",
        {
            "openemr": "Sessions lie in files, so there can be one task only, and everybody signs in again when it is "
            "replaced.",
            "openmrs": "Everybody signs in again when the one task is replaced.",
        },
        {
            "openemr": "The database sleeps after 5 idle minutes; the first page after that takes 15 seconds or more.",
            "openmrs": "The database may sleep, but connections that OpenMRS holds open mostly keep it awake.",
        },
        "The database has no second instance: if its zone fails, AWS starts another, which takes minutes.",
        "Tasks have public addresses, to pay for no NAT gateway; their security group lets in the load balancer only.",
        "No web application firewall, and no alarms.",
        "Restores of the backups are not tested by themselves.",
        {"openemr": "Background services run once an hour, so that the database can sleep."},
        "Logs are kept for 30 days; HIPAA's six years (45 CFR 164.316(b)(2)) are not met.",
        "The load balancer is not protected against deletion; the database is.",
    ),
    defaults=MappingProxyType(
        {
            "egress": "public_ip",
            "minimum_capacity": 1,
            "maximum_capacity": 1,
            "task_cpu": 512,
            "task_memory": 1024,
            "background_services_interval_minutes": 60,
            "aurora_minimum_capacity": 0.0,
            "aurora_maximum_capacity": 4.0,
            "aurora_reader": False,
            "cache": "none",
            "cache_maximum_gigabytes": 1,
            "enable_waf": False,
            "load_balancer_deletion_protection": False,
            "restore_testing": "off",
            "log_retention_days": 30,
            "enable_alarms": False,
        }
    ),
)

CLINIC = DeploymentSize(
    name="clinic",
    purpose="A practice with patients' data. Any one zone may fail.",
    gives_up=(
        "Two zones: when one fails, half of the tasks are gone until Fargate has started others.",
        "The database idles at half a capacity unit, so the first busy minute of a morning is slower.",
        "Logs are kept for a year in CloudWatch; export them where six years are wanted (45 CFR 164.316(b)(2)).",
        "A restore is tested once a month, not each week.",
    ),
    defaults=MappingProxyType({}),
)

HOSPITAL = DeploymentSize(
    name="hospital",
    purpose="A larger house with many at work at once. Any one zone may fail, and two thirds of the capacity stay.",
    gives_up=("Money: three zones, three NAT gateways, larger tasks and a database that never idles below 2 units.",),
    defaults=MappingProxyType(
        {
            "availability_zones": 3,
            "minimum_capacity": 3,
            "task_cpu": 2048,
            "task_memory": 4096,
            "aurora_minimum_capacity": 2.0,
            "cache_maximum_gigabytes": 20,
            "waf_rate_limit": 100_000,
            "restore_testing": "weekly",
            # The shortest that CloudWatch Logs offers from six years on: 45 CFR 164.316(b)(2)(i).
            "log_retention_days": 2192,
        }
    ),
)

SIZES: Mapping[str, DeploymentSize] = MappingProxyType({one.name: one for one in (TRIAL, CLINIC, HOSPITAL)})
DEFAULT_SIZE = CLINIC.name
