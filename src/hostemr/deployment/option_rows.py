"""The settings of what a deployment may have besides: a domain, mail, the accelerator."""

from __future__ import annotations

from hostemr.deployment.parsers import BOOLEAN, EMAILS, or_null, text_of
from hostemr.deployment.setting import Setting

DOMAIN = (
    Setting(
        name="route53_domain",
        attribute="route53_domain",
        kind=or_null(
            text_of(
                r"(?=.{1,200}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
                "a domain name in small letters, such as example.org",
            )
        ),
        meaning="A domain whose public hosted zone is in this account's Route 53: makes a name for the application "
        "below it, and a certificate that renews itself unless certificate_arn is given.",
        source="seed",
    ),
    Setting(
        name="hosted_zone_id",
        attribute="hosted_zone_id",
        kind=or_null(text_of(r"Z[A-Z0-9]{3,31}", "the id of a hosted zone, such as Z0123456789ABCDEFGHIJ")),
        meaning="The hosted zone of route53_domain. Null has the deployment find it by its name.",
    ),
    Setting(
        name="enable_global_accelerator",
        attribute="enable_global_accelerator",
        kind=BOOLEAN,
        default=False,
        meaning="An AWS Global Accelerator before the load balancer, for people far from the region. Costs extra.",
        source="seed",
    ),
)

MAIL = (
    Setting(
        name="configure_ses",
        attribute="configure_ses",
        kind=BOOLEAN,
        default=False,
        meaning="Lets the application send mail from route53_domain through Amazon SES: identity, DKIM, DMARC, MAIL "
        "FROM and SMTP credentials that rotate. AWS must have taken the account out of the SES sandbox.",
        source="seed",
    ),
    Setting(
        name="email_forwarding_address",
        attribute="email_forwarding_address",
        kind=EMAILS,
        default=(),
        meaning="Where mail to help@ at route53_domain is forwarded; each is archived, encrypted, too. Needs "
        "configure_ses, and makes SES receive the domain's mail.",
        source="seed",
    ),
    Setting(
        name="open_smtp_port",
        attribute="open_smtp_port",
        kind=BOOLEAN,
        default=False,
        meaning="Lets tasks reach mail servers on ports 465 and 587. configure_ses opens what it needs by itself.",
        source="seed",
    ),
)
