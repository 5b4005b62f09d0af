"""A task that sends mail can reach the mail server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostemr.operate.checks.ingress_open import ports, rules
from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates

SUBMISSION = (587, 465, 2587, 2465, 25)


def _find(templates: Templates) -> Iterator[Found]:
    for service in templates.of("AWS::ECS::Service"):
        for definition in templates.names(service, ("TaskDefinition",), "AWS::ECS::TaskDefinition"):
            port = _mail_port(templates, definition)
            groups = templates.names(
                service, ("NetworkConfiguration", "AwsvpcConfiguration", "SecurityGroups"), "AWS::EC2::SecurityGroup"
            )
            if port is None or not groups or any(_lets_out(templates, one, port) for one in groups):
                continue
            yield Found(
                service,
                f"its tasks are told of a mail server, and no rule of {', '.join(one.logical_id for one in groups)} "
                "lets "
                f"them out to port {port}",
                f"add an egress rule for TCP {port}",
                "NetworkConfiguration",
            )


def _mail_port(templates: Templates, definition: Resource) -> int | None:
    """The port that containers send mail to; 587 where it stands in a secret; None where they send none."""
    told = {}
    for place in ("Environment", "Secrets"):
        for one in definition.rows("ContainerDefinitions", place):
            name = templates.text(definition.stack, one.get("Name")).upper()
            if "SMTP" in name:
                told[name] = _value(templates, definition, one)
    if not any(name.endswith(("HOST", "SERVER", "PORT")) for name in told):
        return None
    given = [text for name, text in told.items() if name.endswith("PORT") and text.isdigit()]
    return int(given[0]) if given else SUBMISSION[0]


def _value(templates: Templates, definition: Resource, one: Mapping[str, object]) -> str:
    for parameter in templates.named(definition.stack, one.get("ValueFrom")):
        if parameter.type == "AWS::SSM::Parameter":
            return templates.text(parameter.stack, parameter.properties.get("Value"))
    return templates.text(definition.stack, one.get("Value"))


def _lets_out(templates: Templates, group: Resource, port: int) -> bool:
    written = [(holder, rule) for holder, owner, rule in rules(templates, "Egress") if owner is group]
    if not written:
        return True  # without any rule, EC2 lets everything out
    spans = [ports(templates, holder.stack, rule) for holder, rule in written]
    return any(span is None or span[0] <= port <= span[1] for span in spans)


CHECK = Check(
    id="HOSTEMR-MailEgress",
    title="A task that sends mail can reach the mail server",
    severity="error",
    reason="Reminders and password mails wait for a connection that the security group drops.",
    source="https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html",
    find=_find,
)
