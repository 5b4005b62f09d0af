"""What a template cannot tell: how much a practice uses. Named assumptions with defaults for a small one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

LARGEST = Decimal(10) ** 15
"""The largest amount of anything: sums of dollars stay exact, and nobody has more."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A row: its name in --usage, the default, and of what it is how much. Amounts are for a month, sizes in GB."""

    name: str
    default: Decimal
    meaning: str


def _row(name: str, default: str, meaning: str) -> Assumption:
    return Assumption(name, Decimal(default), meaning)


ASSUMPTIONS = {
    row.name: row
    for row in (
        _row("root_volume_gb", "8", "a server's root volume, where neither template nor launch template says its size"),
        _row("traffic_out_gb", "10", "sent to the internet by a server or a load balancer"),
        _row("surplus_vcpu_hours", "0", "processor time above the baseline of an instance with unlimited credits"),
        _row("bucket_storage_gb", "10", "stored in a bucket, old versions included"),
        _row("bucket_put_requests", "3000", "PUT, COPY, POST and LIST requests to a bucket"),
        _row("bucket_get_requests", "3000", "GET and other requests to a bucket"),
        _row("log_storage_gb", "1", "stored in a bucket that takes other buckets' access logs"),
        _row("log_put_requests", "3000", "files of logs that are delivered there"),
        _row("trail_storage_gb", "1", "stored in the bucket of a trail"),
        _row("trail_put_requests", "9000", "files that a trail writes: one every five minutes"),
        _row("trail_data_events", "20000", "reads and writes of objects recorded by a trail that records them"),
        _row("trail_copied_events", "0", "management events that another trail of the account delivers already"),
        _row("kms_requests", "5000", "requests to a key"),
        _row("kms_rotations", "0", "yearly rotations of a key so far; the first two are charged"),
        _row("secret_requests", "200", "reads of a secret"),
        _row("metrics_without_alarm", "0", "custom metrics that no alarm of the template watches"),
        _row("metric_requests", "3000", "calls that put custom metrics"),
        _row("insights_metrics", "20", "metrics of Container Insights for a cluster"),
        _row("emails", "30", "notifications that a topic sends by e-mail"),
        _row("log_ingested_gb", "0.5", "written to a log group"),
        _row("log_stored_gb", "1", "kept in a log group, compressed"),
        _row("function_log_gb", "0.02", "written to the log group of a function, and as much kept"),
        _row("flow_log_gb", "1", "written by a flow log"),
        _row("nat_processed_gb", "10", "sent and received through a NAT gateway"),
        _row("endpoint_processed_gb", "1", "sent and received through an interface endpoint"),
        _row("accelerator_gb", "10", "carried by an accelerator in its dominant direction"),
        _row("load_balancer_units", "0.1", "capacity units (LCU) that a load balancer uses on average"),
        _row("web_requests", "500000", "requests that a firewall inspects"),
        _row("scheduled_task_hours", "24", "how long the tasks of one schedule run"),
        _row("function_requests", "1000", "runs of a function"),
        _row("function_seconds", "1000", "time that all runs of a function take together"),
        _row("busy_hours", "0", "hours of a month in which more runs than the least: see busy_acu and busy_tasks"),
        _row("busy_acu", "0", "capacity units (ACU) of each Aurora Serverless v2 instance in busy hours"),
        _row("busy_tasks", "0", "tasks of a service in busy hours"),
        _row("database_storage_gb", "5", "stored in a database"),
        _row("database_daily_change_percent", "1", "share of a database that changes in a day, for its backups"),
        _row("database_log_gb", "0.5", "written to CloudWatch by a database that exports its logs"),
        _row("database_log_stored_gb", "1", "kept there of them, compressed"),
        _row("database_requests", "1000000", "reads and writes of a cluster's storage"),
        _row("files_storage_gb", "5", "stored in a file system"),
        _row(
            "files_infrequent_percent",
            "50",
            "share of files that lies in infrequent access, where there is a lifecycle",
        ),
        _row("files_daily_change_percent", "0.2", "share of files that changes in a day, for their backups"),
        _row("files_read_gb", "5", "read from a file system"),
        _row("files_written_gb", "2", "written to a file system"),
        _row("cache_storage_gb", "0.1", "held by a serverless cache on average"),
        _row("cache_units", "5000000", "processing units (ECPU) of a serverless cache"),
        _row("image_storage_gb", "2", "container images kept in a registry of the account"),
        _row("mails_sent", "300", "sent through SES in a domain's name"),
        _row("mail_attachments_gb", "0", "attached to mails that are sent through SES"),
        _row("mail_events", "600", "reports of deliveries, bounces and complaints that SES publishes to a topic"),
        _row("https_notifications", "600", "messages of a topic that are delivered to one subscriber by HTTPS"),
        _row("queue_requests", "1000", "requests to a queue"),
        _row("enhanced_monitoring_gb", "0.1", "metrics of its system that a database writes to CloudWatch Logs"),
        _row("mails_received", "300", "received through SES"),
    )
}


class Usage:
    """The assumptions in force. A name alone is for every resource, `LOGICALID.NAME` for one of them."""

    def __init__(self, given: Mapping[str, Decimal] | None = None) -> None:
        self.given = dict(given or {})

    def amount(self, name: str, resource: str) -> Decimal:
        """How much of `name` a resource uses in a month."""
        return self.given.get(f"{resource}.{name}", self.given.get(name, ASSUMPTIONS[name].default))


def usage(given: Mapping[str, str], resources: Collection[str], problems: list[str]) -> Usage:
    """The usage that was given as text; adds a line to `problems` for all that is wrong with it."""
    amounts = {}
    for key, text in given.items():
        wrong = list(wrong_usage("--usage", key, text, resources))
        problems += wrong
        if not wrong:
            amounts[key] = Decimal(text)
    return Usage(amounts)


def wrong_usage(where: str, key: str, text: str, resources: Collection[str] | None) -> Iterator[str]:
    """A line for all that is wrong with one amount; `resources` None leaves open which resources there are."""
    resource, _, name = key.rpartition(".")
    if name not in ASSUMPTIONS:
        near = difflib.get_close_matches(name, ASSUMPTIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`hostemr price --assumptions` lists them"
        yield f"{where} {key} is no assumption; {hint}"
    if resource and resources is not None and resource not in resources:
        yield f"{where} {key}: no template has a resource {resource}"
    if amount(text) is None:
        yield f"{where} {key} is {text!r}; expected a number of 0 or more, at most 1e15"


def amount(text: str) -> Decimal | None:
    """The amount that a text says, None if it says none, less than none or more than LARGEST."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= LARGEST else None
