"""The sections of 45 CFR 164.308 and 164.312 that a template can bear on, in the order of the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hostemr.operate.checks import hipaa_evidence as evidence
from hostemr.operate.checks.hipaa_evidence import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section: what it asks in our words, what can show it, the checks that speak against it, and what is people's.

    `missing` is said where nothing shows it; a section without can be met by people alone.
    """

    section: str
    title: str
    kind: Literal["standard", "required", "addressable"]
    requirement: str
    evidence: tuple[Source, ...] = ()
    checks: tuple[str, ...] = ()
    missing: str = ""
    yours: str = ""


_ON_THE_SERVER = "Run `hostemr verify` on the address: what a server or a task does with TLS itself is in no template."

SECTIONS = (
    Section(
        section="308(a)(1)(ii)(D)",
        title="Information system activity review",
        kind="required",
        requirement="Look regularly at records of what was done in the system: audit logs, access reports, incidents.",
        evidence=(evidence.trails, evidence.access_logs, evidence.database_audit),
        checks=("HOSTEMR-LogDelivery",),
        missing="nothing is recorded that could be looked at",
        yours="Read the records on a schedule, and write down that you did.",
    ),
    Section(
        section="308(a)(3)(i)",
        title="Workforce security",
        kind="standard",
        requirement="People get to patients' data as far as their work needs it, and no others do; access ends with "
        "the work.",
        evidence=(evidence.networks,),
        checks=("HOSTEMR-IngressOpen",),
        yours="Give and end accounts in the application and in AWS (IAM Identity Center); keep a list.",
    ),
    Section(
        section="308(a)(4)(ii)(B)",
        title="Access authorization",
        kind="addressable",
        requirement="Access to systems and programs is granted by a policy.",
        evidence=(evidence.no_people, evidence.private_buckets),
        checks=("HOSTEMR-PolicyScope", "HOSTEMR-ManagedPolicy", "HOSTEMR-OpenPolicy", "HOSTEMR-BucketPrivate"),
        missing="no role limits what programs may do",
        yours="Set up roles in the application for physicians, nurses and office staff.",
    ),
    Section(
        section="308(a)(4)(ii)(C)",
        title="Access establishment and modification",
        kind="addressable",
        requirement="Who may do what is written down, looked at and changed by a rule.",
        evidence=(evidence.trails,),
        missing="nothing records who changed a permission",
        yours="Review accounts and roles, in AWS and in the application, at fixed times.",
    ),
    Section(
        section="308(a)(5)(ii)(B)",
        title="Protection from malicious software",
        kind="addressable",
        requirement="Guard against malicious software, detect and report it.",
        evidence=(evidence.firewall,),
        checks=("HOSTEMR-MutableCode", "HOSTEMR-MachineImage"),
        missing="no firewall looks at requests",
        yours="Keep images and servers up to date, and the workstations that use them.",
    ),
    Section(
        section="308(a)(5)(ii)(C)",
        title="Log-in monitoring",
        kind="addressable",
        requirement="Watch attempts to log in, and report what is odd.",
        evidence=(evidence.trails, evidence.database_audit, evidence.rate_limits),
        missing="nothing records who logs in to AWS or to the database",
        yours="Read the application's own log of log-ins; it is not in AWS.",
    ),
    Section(
        section="308(a)(5)(ii)(D)",
        title="Password management",
        kind="addressable",
        requirement="Passwords are made, changed and kept safely.",
        evidence=(evidence.secrets,),
        checks=("HOSTEMR-PlainSecret",),
        missing="no secret is generated and kept by Secrets Manager",
        yours="Set the application's rules for people's passwords, and a second factor.",
    ),
    Section(
        section="308(a)(6)(ii)",
        title="Response and reporting",
        kind="required",
        requirement="Suspected incidents are noticed, answered, mended as far as can be, and written down.",
        evidence=(evidence.alarms, evidence.events),
        checks=("HOSTEMR-AlarmMetric", "HOSTEMR-TopicPublish", "HOSTEMR-AlarmHeard"),
        missing="no alarm tells anybody of trouble",
        yours="Say who answers an alarm, and keep a record of incidents. Breaches are reported under 164.400 to "
        "164.414.",
    ),
    Section(
        section="308(a)(7)(ii)(A)",
        title="Data backup plan",
        kind="required",
        requirement="Exact copies of patients' data exist and can be brought back.",
        evidence=(evidence.backups, evidence.backup_rules),
        checks=(
            "HOSTEMR-BackupSelection",
            "HOSTEMR-BackupPlan",
            "HOSTEMR-DatabaseRetention",
            "HOSTEMR-RecoveryPoints",
            "HOSTEMR-DeletableObjects",
        ),
        missing="nothing is backed up",
        yours="Decide how long records are kept; state law often says.",
    ),
    Section(
        section="308(a)(7)(ii)(B)",
        title="Disaster recovery plan",
        kind="required",
        requirement="What is lost can be restored.",
        evidence=(evidence.retained, evidence.copies),
        checks=(
            "HOSTEMR-StatefulRetained",
            "HOSTEMR-KeyOutlivesData",
            "HOSTEMR-CustomResourceId",
            "HOSTEMR-DiskFormat",
        ),
        missing="nothing outlives its stack",
        yours="Write down who restores what, from where, in which order, and keep it where the disaster does not "
        "reach.",
    ),
    Section(
        section="308(a)(7)(ii)(C)",
        title="Emergency mode operation plan",
        kind="required",
        requirement="Work that protects the data goes on during an emergency.",
        evidence=(evidence.spares, evidence.shells),
        missing="nothing takes over when one zone or one server fails",
        yours="Plan for work on paper while the system is down, and for entering it later.",
    ),
    Section(
        section="308(a)(7)(ii)(D)",
        title="Testing and revision procedures",
        kind="addressable",
        requirement="The plans are tried, and changed when they fail.",
        evidence=(evidence.drills,),
        missing="no restore is tried on a schedule",
        yours="Restore once a year by hand, with a watch, and look at the records.",
    ),
    Section(
        section="308(a)(7)(ii)(E)",
        title="Applications and data criticality analysis",
        kind="addressable",
        requirement="It is known which programs and data matter most to the other plans.",
        yours="Rank them; no template knows your practice.",
    ),
    Section(
        section="312(a)(1)",
        title="Access control",
        kind="standard",
        requirement="Only people and programs that have been given access get to patients' data.",
        evidence=(evidence.networks, evidence.private_buckets),
        checks=("HOSTEMR-IngressOpen", "HOSTEMR-OpenPolicy", "HOSTEMR-InstanceMetadata"),
        missing="no security group limits who reaches what",
        yours="Give roles in the application.",
    ),
    Section(
        section="312(a)(2)(i)",
        title="Unique user identification",
        kind="required",
        requirement="Each person has a name of their own in the system, by which they are traced.",
        evidence=(evidence.trails,),
        yours="No shared accounts, in the application or in AWS. The first administrator is for setting up only.",
    ),
    Section(
        section="312(a)(2)(ii)",
        title="Emergency access procedure",
        kind="required",
        requirement="Needed data can be got at in an emergency.",
        evidence=(evidence.shells, evidence.backups),
        yours="Write down who may use the way in, and how. Turn on the application's break-glass access if you need "
        "it.",
    ),
    Section(
        section="312(a)(2)(iii)",
        title="Automatic logoff",
        kind="addressable",
        requirement="A session ends after a time without activity.",
        yours="Set the application's session timeout, and screen locks.",
    ),
    Section(
        section="312(a)(2)(iv)",
        title="Encryption and decryption",
        kind="addressable",
        requirement="Stored data is encrypted.",
        evidence=(evidence.encrypted, evidence.key_rotation),
        checks=("HOSTEMR-EncryptedAtRest", "HOSTEMR-KeyOutlivesData"),
        missing="nothing is encrypted at rest",
        yours="Say who may use and manage the keys, and encrypt what leaves these stores: exports, dumps, laptops.",
    ),
    Section(
        section="312(b)",
        title="Audit controls",
        kind="standard",
        requirement="What happens in systems with patients' data is recorded and can be examined.",
        evidence=(evidence.trails, evidence.database_audit, evidence.access_logs, evidence.log_retention),
        checks=("HOSTEMR-LogDelivery", "HOSTEMR-LogRetention"),
        missing="nothing is recorded",
        yours="Switch on the application's audit log, which alone knows the patient.",
    ),
    Section(
        section="312(c)(1)",
        title="Integrity",
        kind="standard",
        requirement="Data is protected from being changed or destroyed wrongly.",
        evidence=(evidence.versions, evidence.protected, evidence.backup_rules),
        checks=("HOSTEMR-DeletionProtection", "HOSTEMR-DeletableObjects", "HOSTEMR-DiskFormat"),
        missing="nothing stands against deletion",
        yours="Say who may change or delete records, keep to it in the application's own accounts and roles, and try "
        "that what was changed wrongly can be brought back.",
    ),
    Section(
        section="312(c)(2)",
        title="Mechanism to authenticate electronic protected health information",
        kind="addressable",
        requirement="It can be shown that data was not changed or destroyed without permission.",
        evidence=(evidence.trail_integrity, evidence.versions),
        missing="nothing shows whether records were changed",
        yours="The application's audit log has checksums (OpenEMR: Administration, Config, Logging).",
    ),
    Section(
        section="312(d)",
        title="Person or entity authentication",
        kind="standard",
        requirement="Whoever asks for data proves who they are.",
        evidence=(evidence.secrets, evidence.no_people),
        checks=("HOSTEMR-PlainSecret",),
        yours="Passwords and a second factor in the application; IAM Identity Center with a second factor in AWS.",
    ),
    Section(
        section="312(e)(1)",
        title="Transmission security",
        kind="standard",
        requirement="Data that travels is guarded against others.",
        evidence=(evidence.tls, evidence.networks),
        checks=("HOSTEMR-ListenerTls", "HOSTEMR-IngressOpen"),
        missing="nothing guards what travels",
        yours=_ON_THE_SERVER,
    ),
    Section(
        section="312(e)(2)(i)",
        title="Integrity controls",
        kind="addressable",
        requirement="A change on the way is noticed.",
        evidence=(evidence.tls,),
        checks=("HOSTEMR-ListenerTls", "HOSTEMR-TargetTls"),
        missing="no connection is encrypted, so a change on the way is not noticed",
        yours=_ON_THE_SERVER,
    ),
    Section(
        section="312(e)(2)(ii)",
        title="Encryption",
        kind="addressable",
        requirement="Data is encrypted on the way wherever that is fitting.",
        evidence=(evidence.tls,),
        checks=("HOSTEMR-ListenerTls", "HOSTEMR-TargetTls", "HOSTEMR-TlsVerified"),
        missing="no connection is encrypted",
        yours=_ON_THE_SERVER,
    ),
)
