"""Prometheus metrics, served on a port of their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Everything that is counted. Each name and its meaning stands in docs/reference/metrics.md."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "hostemr_http_requests",
            "HTTP requests answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "hostemr_http_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.registrations = Counter(
            "hostemr_registrations",
            "Registrations by what became of them: new, repeated (a further productId) or refused (409).",
            ("outcome",),
            registry=self.registry,
        )
        self.rate_limited = Counter(
            "hostemr_rate_limited", "Requests refused with 429.", ("route",), registry=self.registry
        )
        self.usage_reports = Counter(
            "hostemr_usage_reports",
            "Usage reports accepted: stored, or anonymous (without a SiteID, not stored).",
            ("outcome",),
            registry=self.registry,
        )
        self.usage_records_dropped = Counter(
            "hostemr_usage_records_dropped",
            "Records of usage reports that were over a cap or malformed, and were not kept.",
            registry=self.registry,
        )
        self.pin_failures = Counter(
            "hostemr_pin_failures", "Broadcasts refused for a wrong pin.", registry=self.registry
        )
        self.broadcasts = Counter("hostemr_broadcasts", "Broadcasts queued.", registry=self.registry)
        self.deliveries = Counter(
            "hostemr_deliveries",
            "Recipients by what became of them: sent, suppressed, failed, retry or ambiguous.",
            ("state",),
            registry=self.registry,
        )
        self.ambiguous_chunks = Counter(
            "hostemr_ambiguous_chunks",
            "Chunks of which it was not known whether they were sent: a worker died, or a reply was lost.",
            registry=self.registry,
        )
        self.throttled = Counter(
            "hostemr_throttled", "Calls that the provider refused as too many.", registry=self.registry
        )
        self.send_rate_ceiling = Gauge(
            "hostemr_send_rate_ceiling",
            "Recipients a second that the account and the settings allow; 0 is no limit.",
            registry=self.registry,
        )
        self.opt_outs = Counter("hostemr_opt_outs", "Addresses that opted out.", registry=self.registry)
        self.sns_refused = Counter(
            "hostemr_sns_refused",
            "Messages to the endpoint for Amazon SNS that were not believed.",
            registry=self.registry,
        )
        self.database_up = Gauge(
            "hostemr_database_up",
            "1 if the database answered when readiness was last asked, else 0.",
            registry=self.registry,
        )
