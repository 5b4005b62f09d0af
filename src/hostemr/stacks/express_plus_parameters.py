"""What whoever launches the one server is asked, grouped and explained as the CloudFormation console shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk

from hostemr.deployment.express_plus import ExpressPlusSettings
from hostemr.deployment.express_plus_rows import (
    DOMAIN_PATTERN,
    INSTANCE_SIZES,
    KEY_PAIR_PATTERN,
    STORAGE_LIMITS,
    TAG_PATTERN,
)

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_NETWORK = rf"^({_OCTET}\.){{3}}{_OCTET}/(3[0-2]|[12]?[0-9])$"
# The agent takes the same: it writes them where quotes and dollars mean something.
_MAIL = "[A-Za-z0-9.!#%&*+/=?^_|~-]{1,64}@([A-Za-z0-9-]{1,63}[.])+[A-Za-z]{2,63}"
_ARN = "arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:{resource}"

_X86 = [one for one in INSTANCE_SIZES if one.startswith("t3.")]

Intrinsic = Mapping[str, Any]
"""A call of one of CloudFormation's functions, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One question: its name, the console's label, and what CloudFormation takes for an answer.

    `default` None leaves it without: the stack cannot be launched before somebody has answered.
    """

    name: str
    label: str
    description: str
    default: str | int | None
    pattern: str | None = None
    expected: str | None = None
    choices: tuple[str, ...] | None = None
    limits: tuple[int, int] | None = None
    longest: int | None = None


class Parameters:
    """The parameters of a stack with their conditions and rules; their values are `reference` and `given`."""

    def __init__(self, stack: cdk.Stack, settings: ExpressPlusSettings) -> None:
        groups = _groups(settings)
        for group in groups.values():
            for one in group:
                _declare(stack, one)
        stack.template_options.metadata = {"AWS::CloudFormation::Interface": _interface(groups)}
        optional = ["Domain", "Email", "EC2KeyPair", "AlarmAddress"]
        optional += ["RecoveryPassphraseSecret"] if settings.recovery else []
        self._conditions = {
            name: cdk.CfnCondition(stack, f"Has{name}", expression=cdk.Fn.condition_not(_is(name, "")))
            for name in optional
        }
        self.names = frozenset(one.name for group in groups.values() for one in group)
        _rules(stack, settings)

    def reference(self, name: str) -> str:
        """The parameter's value, as a text that other texts can hold."""
        if name not in self.names:
            raise KeyError(name)
        return cdk.Fn.ref(name)

    def number(self, name: str) -> float:
        """The parameter's value, where a number is wanted."""
        return cdk.Token.as_number({"Ref": name})

    def condition(self, name: str) -> cdk.CfnCondition:
        """Whether somebody gave the parameter."""
        return self._conditions[name]

    @staticmethod
    def given(name: str) -> Intrinsic:
        """The parameter's value where somebody gave one, no value otherwise."""
        return {"Fn::If": [f"Has{name}", {"Ref": name}, {"Ref": "AWS::NoValue"}]}

    @staticmethod
    def either(name: str, then: Any, otherwise: Any) -> str:
        """One of two values: by whether somebody gave the parameter."""
        return cdk.Token.as_string(cdk.Fn.condition_if(f"Has{name}", then, otherwise))


def _groups(settings: ExpressPlusSettings) -> dict[str, tuple[Parameter, ...]]:
    size = Parameter(
        "InstanceSize",
        "Size of the server",
        "EC2 instance type. t3.small serves a small practice; t4g are ARM, and cost a fifth less.",
        settings.instance_size,
        choices=INSTANCE_SIZES,
    )
    storage = Parameter(
        "PracticeStorage",
        "Storage for the practice (GiB)",
        "Size of the encrypted volume for database, documents and certificates. It can grow later, and never shrinks.",
        settings.practice_storage,
        limits=STORAGE_LIMITS,
    )
    pinned = settings.openemr_image_digest is not None
    version = Parameter(
        "OpenEMRVersion",
        "OpenEMR version",
        "Tag of the image of OpenEMR. A newer one upgrades the database when the server starts; there is no way back "
        "but a restore.",
        settings.openemr_version,
        pattern=None if pinned else f"^{TAG_PATTERN}$",
        expected="The one version whose image is pinned." if pinned else "A tag such as 8.1.0.",
        choices=(settings.openemr_version,) if pinned else None,
    )
    who = Parameter(
        "AllowedAddressRange",
        "Who may reach OpenEMR",
        "IPv4 network of the practice in CIDR notation, such as 203.0.113.0/24. 0.0.0.0/0 is the whole internet.",
        settings.allowed_address_range,
        pattern=_NETWORK,
        expected="An IPv4 network such as 203.0.113.0/24; for one address, 203.0.113.7/32.",
    )
    domain = Parameter(
        "Domain",
        "Domain (optional)",
        "Host name that leads to the server, for a certificate that browsers trust. Port 80 is then open to everybody, "
        "as Let's Encrypt needs it, and redirects. Without one the certificate is self-signed.",
        settings.domain or "",
        pattern=f"^({DOMAIN_PATTERN})?$",
        expected="A host name in small letters, such as emr.example.org, or nothing.",
        longest=200,
    )
    email = Parameter(
        "Email",
        "E-mail for the certificate",
        "Whom Let's Encrypt writes to before a certificate runs out. Needed with a domain.",
        settings.email or "",
        pattern=f"^({_MAIL})?$",
        expected="A mail address such as it@clinic.example, or nothing.",
        longest=254,
    )
    alarm = Parameter(
        "AlarmAddress",
        "E-mail for alarms",
        "Who hears of backups that fail, are missing or cannot be restored. AWS asks there for a confirmation first. "
        "Empty: nobody hears.",
        settings.alarm_address or "",
        pattern=f"^({_MAIL})?$",
        expected="A mail address such as it@clinic.example, or nothing.",
        longest=254,
    )
    pair = Parameter(
        "EC2KeyPair",
        "EC2 key pair (optional)",
        "Name of a key pair of this region. Session Manager needs none."
        + ("" if settings.dev else " SSH stays closed all the same; only the developer's template opens it."),
        settings.ec2_key_pair or "",
        pattern=f"^({KEY_PAIR_PATTERN})?$",
        expected="The name of a key pair, or nothing.",
    )
    return {
        "The server": (size, storage, version, pair),
        "Who reaches it": (who, domain, email),
        "Who hears of trouble": (alarm,),
        **({"What it recovers from": _recovery()} if settings.recovery else {}),
    }


def _recovery() -> tuple[Parameter, ...]:
    return (
        Parameter(
            "RecoveryS3Bucket",
            "Bucket with the backups",
            "Name of the lost server's bucket: the output BackupBucket of its stack; of an original's the resource "
            "S3Bucket.",
            None,
            pattern="^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
            expected="The name of an S3 bucket.",
        ),
        Parameter(
            "RecoveryKMSKey",
            "Key of that bucket",
            "ARN of the lost server's key: the output KeyArn of its stack; of an original's the resource OpenEMRKey.",
            None,
            pattern=f"^{_ARN.format(service='kms', resource='key/[A-Za-z0-9-]+')}$",
            expected="The ARN of a KMS key, such as arn:aws:kms:us-east-1:111122223333:key/...",
        ),
        Parameter(
            "RecoveryPassphraseSecret",
            "Passphrase of the backups",
            "ARN of the lost server's secret: the output PassphraseSecretArn of its stack. Empty for a bucket of the "
            "original Express Plus, which holds the passphrase itself.",
            "",
            pattern=f"^({_ARN.format(service='secretsmanager', resource='secret:[A-Za-z0-9/_+=.@-]+')})?$",
            expected="The ARN of a secret in Secrets Manager, or nothing.",
        ),
        Parameter(
            "RecoveryEngine",
            "What made the backups",
            "The backup_engine of the lost server; duplicity for the original Express Plus.",
            "restic",
            choices=("restic", "duplicity"),
        ),
        Parameter(
            "RecoveryLayout",
            "Whose backups they are",
            "hostemr, or original for OpenEMR Cloud Express Plus, which hostemr replaces.",
            "hostemr",
            choices=("hostemr", "original"),
        ),
    )


def _declare(stack: cdk.Stack, one: Parameter) -> None:
    least, most = one.limits or (None, None)
    cdk.CfnParameter(
        stack,
        one.name,
        type="String" if one.limits is None else "Number",
        description=one.description,
        default=one.default,
        allowed_pattern=one.pattern,
        constraint_description=one.expected,
        allowed_values=list(one.choices) if one.choices else None,
        min_value=least,
        max_value=most,
        max_length=one.longest,
    )


def _interface(groups: Mapping[str, tuple[Parameter, ...]]) -> dict[str, Any]:
    return {
        "ParameterGroups": [
            {"Label": {"default": title}, "Parameters": [one.name for one in group]} for title, group in groups.items()
        ],
        "ParameterLabels": {one.name: {"default": one.label} for group in groups.values() for one in group},
    }


def _rules(stack: cdk.Stack, settings: ExpressPlusSettings) -> None:
    """What answers must be together: CloudFormation says so before it makes anything."""
    _rule(
        stack,
        "DomainNeedsEmail",
        when=cdk.Fn.condition_not(_is("Domain", "")),
        then=cdk.Fn.condition_not(_is("Email", "")),
        otherwise="With a Domain, give an Email too: Let's Encrypt writes there.",
    )
    if not settings.recovery:
        return
    _rule(
        stack,
        "OriginalMeansDuplicity",
        when=_is("RecoveryLayout", "original"),
        then=_is("RecoveryEngine", "duplicity"),
        otherwise="The original Express Plus made its backups by duplicity: choose it as RecoveryEngine.",
    )
    _rule(
        stack,
        "OriginalNeedsX86",
        when=_is("RecoveryLayout", "original"),
        then=cdk.Fn.condition_contains(_X86, cdk.Fn.ref("InstanceSize")),
        otherwise="The original's database runs on x86 only: choose a t3 now; a t4g can follow by an update.",
    )
    _rule(
        stack,
        "OursHasAPassphraseSecret",
        when=_is("RecoveryLayout", "hostemr"),
        then=cdk.Fn.condition_not(_is("RecoveryPassphraseSecret", "")),
        otherwise="Give RecoveryPassphraseSecret, or choose original as RecoveryLayout.",
    )


def _is(name: str, value: str) -> cdk.ICfnConditionExpression:
    return cdk.Fn.condition_equals(cdk.Fn.ref(name), value)


def _rule(
    stack: cdk.Stack,
    name: str,
    *,
    when: cdk.ICfnConditionExpression,
    then: cdk.ICfnConditionExpression,
    otherwise: str,
) -> None:
    assertion = cdk.CfnRuleAssertion(assert_=then, assert_description=otherwise)
    cdk.CfnRule(stack, name, rule_condition=when, assertions=[assertion])
