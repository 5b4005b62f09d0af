"""A domain as an identity of Amazon SES, and the DNS records that prove to the world that its mail is its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import aws_ses as ses
from constructs import Construct

from hostemr.stacks.policies import REGION

_MAIL_FROM = "services"


@dataclass(frozen=True, slots=True)
class Record:
    """One DNS record: what it is called in a template, and what a zone file would say."""

    name: str
    host: str
    kind: str
    value: str

    @property
    def line(self) -> str:
        """The record as people type it into another provider's form."""
        return f"{self.host} {self.kind} {self.value}"


def domain_identity(scope: Construct, name: str, *, domain: str, configuration_set: str) -> ses.CfnEmailIdentity:
    """SES may send for the domain, signed with DKIM, through the configuration set where nobody names another."""
    return ses.CfnEmailIdentity(
        scope,
        name,
        email_identity=domain,
        configuration_set_attributes={"configurationSetName": configuration_set},
        dkim_attributes={"signingEnabled": True},
        dkim_signing_attributes={"nextSigningKeyLength": "RSA_2048_BIT"},
        mail_from_attributes={
            "mailFromDomain": f"{_MAIL_FROM}.{domain}",
            "behaviorOnMxFailure": "USE_DEFAULT_VALUE",
        },
    )


def mail_records(identity: ses.CfnEmailIdentity, *, domain: str, reports_to: str | None) -> Iterator[Record]:
    """DKIM, SPF by MAIL FROM, and DMARC, whose reports go to `reports_to`.

    https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dmarc.html
    """
    tokens = (
        (identity.attr_dkim_dns_token_name1, identity.attr_dkim_dns_token_value1),
        (identity.attr_dkim_dns_token_name2, identity.attr_dkim_dns_token_value2),
        (identity.attr_dkim_dns_token_name3, identity.attr_dkim_dns_token_value3),
    )
    for number, (host, value) in enumerate(tokens, start=1):
        yield Record(f"Dkim{number}", host, "CNAME", value)
    mail_from = f"{_MAIL_FROM}.{domain}"
    yield Record("MailFromMx", mail_from, "MX", f"10 feedback-smtp.{REGION}.amazonses.com")
    yield Record("MailFromSpf", mail_from, "TXT", '"v=spf1 include:amazonses.com ~all"')
    reports = f"; rua=mailto:{reports_to}" if reports_to else ""
    yield Record("Dmarc", f"_dmarc.{domain}", "TXT", f'"v=DMARC1; p=quarantine{reports}"')
