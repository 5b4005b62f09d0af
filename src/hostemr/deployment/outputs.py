"""The names of what stacks tell: written by `stacks`, read by `operate` and by people.

A stack's own outputs are its promise to an operator. The exports are the promise of the data stack to the service
stack: readable, and the same whatever is switched on, because CloudFormation refuses to change or remove an export
that another stack imports.
"""

from __future__ import annotations

URL = "Url"
ACCELERATOR_URL = "GlobalAcceleratorUrl"
ADMINISTRATOR_SECRET = "AdministratorSecretArn"  # noqa: S105, the name of an output
CLUSTER = "ClusterName"
SERVICE = "ServiceName"
DATABASE_HOST = "DatabaseHost"
DATABASE_ARN = "DatabaseClusterArn"
MASTER_SECRET = "DatabaseMasterSecretArn"  # noqa: S105, the name of an output
MAIL_SECRET = "MailCredentialArn"  # noqa: S105
BACKUP_VAULT = "BackupVaultName"
DASHBOARD = "DashboardName"
SETUP_FUNCTION = "SetupFunctionName"

DATA_STACK_OUTPUTS = (DATABASE_HOST, DATABASE_ARN, MASTER_SECRET, ADMINISTRATOR_SECRET, BACKUP_VAULT)
SERVICE_STACK_OUTPUTS = (URL, CLUSTER, SERVICE, SETUP_FUNCTION)
"""Outputs that are always there; `DASHBOARD` only where alarms are on, `ACCELERATOR_URL` only with an accelerator,
`MAIL_SECRET` only with SES."""


def stack_names(application: str, suffix: str = "") -> tuple[str, str]:
    """The data stack's name and the service stack's, such as `openemr-data` and `openemr-service`."""
    tail = f"-{suffix}" if suffix else ""
    return f"{application}-data{tail}", f"{application}-service{tail}"


def analytics_stack_name(application: str, suffix: str = "") -> str:
    """The analytics stack's name, such as `openemr-analytics` or `openemr-analytics-north`."""
    return f"{application}-analytics{f'-{suffix}' if suffix else ''}"


def host_name(application: str, suffix: str, domain: str) -> str:
    """The application's name below a domain; a second deployment has its suffix in it."""
    return f"{application}{f'-{suffix}' if suffix else ''}.{domain}"


def export_name(data_stack: str, value: str) -> str:
    """The name under which a data stack exports a value, unique in an account and region."""
    return f"{data_stack}:{value}"


def registration_stack_names(suffix: str = "") -> tuple[str, str, str]:
    """The names of the registration service's stacks: what lasts, its mail, and what serves."""
    tail = f"-{suffix}" if suffix else ""
    return f"registration-data{tail}", f"registration-mail{tail}", f"registration-service{tail}"


BOARD_PIN = "BoardPinSecretArn"
MAIL_DNS_RECORDS = "MailDnsRecords"
EVENT_TOPIC = "EventTopicArn"
DEAD_LETTERS = "DeadLetterQueueUrl"
LOAD_BALANCER = "LoadBalancerName"
"""Of the registration service's stacks, beside those above that they have too."""

EXPRESS_PLUS_URL = "OpenEMR"
"""Where OpenEMR answers; the original's name of the output."""
EXPRESS_PLUS_ADDRESS = "Address"
EXPRESS_PLUS_ADMINISTRATOR = ADMINISTRATOR_SECRET
EXPRESS_PLUS_BUCKET = "BackupBucket"
EXPRESS_PLUS_KEY = "KeyArn"
EXPRESS_PLUS_PASSPHRASE = "PassphraseSecretArn"  # noqa: S105, the name of an output
EXPRESS_PLUS_VOLUME = "DataVolume"
EXPRESS_PLUS_SESSION = "Session"
EXPRESS_PLUS_LOG = "Log"
"""Of the one server's stack. Bucket, key and passphrase are what a recovery server is told."""
