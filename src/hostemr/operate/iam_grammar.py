"""Checks the IAM statements of a template against AWS's grammar: services, actions, resource types, condition keys.

CloudFormation creates a policy whose action does not exist, or whose ARN fits no resource: it allows nothing,
and that shows when somebody needs it. AWS publishes which action knows which resource types in the Service
Authorization Reference (https://docs.aws.amazon.com/service-authorization/latest/reference/); cfn-lint ships it
as data. What the data does not have stands here, with the reason.

A statement is read as IAM does: each action needs one of the statement's resources, and each resource an action.
What only CloudFormation knows (`Ref`, `Fn::GetAtt`, …) fits everything; the text around it does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources as files
from typing import Any

from hostemr.operate.references import alternatives
from hostemr.operate.template import Template, intrinsic, resources
from hostemr.operate.texts import UNKNOWN, text_of

_ANY = {"AWS::Partition", "AWS::Region", "AWS::AccountId"}

# The data has the condition keys of resource types, not those of actions. Where a service has a row here, a key
# that neither has is a finding; keys of other services are not judged. In lower case, as keys have no case;
# what ends with `/` or `:` goes on with a name of one's own.
# Source: the table "Condition keys" on each service's page of the Service Authorization Reference.
ACTION_KEYS: Mapping[str, str] = {
    "ecs": (
        "account-setting auto-assign-public-ip capacity-provider cluster compute-compatibility"
        " container-instances container-name createaction enable-ebs-volumes enable-ecs-managed-tags"
        " enable-execute-command enable-service-connect enable-vpc-lattice fargate-ephemeral-storage-kms-key"
        " fargate-platform-version instance-metadata-tags-propagation namespace privileged propagate-tags"
        " service subnet task task-cpu task-definition task-memory"
    ),
    "elasticfilesystem": "accessedviamounttarget accesspointarn createaction encrypted",
    "emr-serverless": "",
    "iam": (
        "associatedresourcearn awsservicename delegationduration fido-certification"
        " fido-fips-140-2-certification fido-fips-140-3-certification notificationchannel"
        " organizationspolicyid passedtoservice permissionsboundary policyarn registersecuritykey"
        " servicespecificcredentialagedays servicespecificcredentialservicename templatearn"
    ),
    "kms": (
        "bypasspolicylockoutsafetycheck calleraccount customermasterkeyspec customermasterkeyusage"
        " datakeypairspec encryptionalgorithm encryptioncontext: encryptioncontextkeys expirationmodel"
        " grantconstrainttype granteeprincipal grantisforawsresource grantoperations keyagreementalgorithm"
        " macalgorithm messagetype primaryregion recipientattestation: reencryptonsamekey replicaregion"
        " requestalias retiringprincipal rotationperiodindays schedulekeydeletionpendingwindowindays"
        " signingalgorithm validto viaservice wrappingalgorithm wrappingkeyspec"
    ),
    "lambda": (
        "codesigningconfigarn eventsourcetoken functionarn functionurlauthtype invokedviafunctionurl layer"
        " principal securitygroupids sourcefunctionarn subnetids vpcids"
    ),
    "s3": (
        "accessgrantscope accessgrantsinstancearn accessgrantslocationscope authtype createsessiontag/"
        " delimiter destinationregion existingjoboperation existingjobpriority existingobjecttag/ if-match"
        " if-none-match inventoryaccessibleoptionalfields isreplicationpauserequest jobsuspendedcause"
        " locationconstraint max-keys object-lock-legal-hold object-lock-mode"
        " object-lock-remaining-retention-days object-lock-retain-until-date objectcreationoperation prefix"
        " requestjoboperation requestjobpriority requestobjecttag/ requestobjecttagkeys resourceaccount"
        " signatureage signatureversion tlsversion versionid x-amz-acl x-amz-bucket-namespace"
        " x-amz-content-sha256 x-amz-copy-source x-amz-grant-full-control x-amz-grant-read"
        " x-amz-grant-read-acp x-amz-grant-write x-amz-grant-write-acp x-amz-metadata-directive"
        " x-amz-object-ownership x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id"
        " x-amz-server-side-encryption-customer-algorithm x-amz-storage-class x-amz-website-redirect-location"
    ),
    "secretsmanager": (
        "addreplicaregions blockpublicpolicy description externalsecretrotationrolearn"
        " forcedeletewithoutrecovery forceoverwritereplicasecret kmskeyarn kmskeyid modifyrotationrules name"
        " recoverywindowindays rotateimmediately rotationlambdaarn secretid secretprimaryregion type"
        " versionid versionstage"
    ),
    "ses": (
        "addonsubscriptionarn apiversion exportsourcetype feedbackaddress fromaddress fromdisplayname"
        " mailmanagerrulesetarn mailmanagertrafficpolicyarn multiregionendpointid recipients replicaregion"
        " tenantname"
    ),
    "ssm": (
        "accessrequestid autoapprove automationdocumentexecutor documentcategories documenttype"
        " documentversion inventorytypename overwrite policies recursive sessiondocumentaccesscheck"
        " sourceinstancearn synctype"
    ),
}
# Of a service with a row above, the actions that know less than the others, where that was seen to matter: under a
# condition on the sender, SES denies each SendBulkEmail. Source: the column "Condition keys" of the table "Actions".
LESS: Mapping[str, str] = {"ses:sendbulkemail": "apiversion multiregionendpointid tenantname"}
# Keys that stand in requests to all services: those of a function's, an instance's and a person's credentials.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html and the pages it names.
EVERYWHERE = frozenset(
    {"lambda:sourcefunctionarn", "ec2:sourceinstancearn", "ec2:roledelivery", "ssm:sourceinstancearn"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that does not say what it seems to; `statement` counts from 0 within its document."""

    logical_id: str
    document: str
    statement: int
    action: str
    problem: str

    def __str__(self) -> str:
        return f"{self.logical_id}.{self.document}.Statement[{self.statement}]: {self.action} {self.problem}"


def check_statements(template: Template) -> list[Finding]:
    """What is wrong in the policies of the template's identities, in the order in which they stand there.

    Trust policies and policies of resources are not judged.
    """
    parameters = frozenset(template.get("Parameters", {}))
    found = []
    for logical_id, resource in resources(template).items():
        for document, statement, content in _statements(resource):
            for action, problem in _problems(content, parameters):
                found.append(Finding(logical_id, document, statement, action, problem))
    return found


def can_be_bounded(action: str) -> bool:
    """Whether the action, such as `ecs:UpdateService`, knows resource types; False for one that is not known."""
    service, _, name = action.lower().partition(":")
    known = _grammar().get(service, {}).get("Actions", {}).get(name, {})
    return bool(known.get("Resources"))


def _statements(resource: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    if not str(resource.get("Type")).startswith("AWS::IAM::"):
        return
    properties = resource.get("Properties", {})
    documents = [("PolicyDocument", properties.get("PolicyDocument"))]
    for number, policy in enumerate(alternatives(properties.get("Policies"))):
        if isinstance(policy, Mapping):
            documents.append((f"Policies[{number}].PolicyDocument", policy.get("PolicyDocument")))
    for name, value in documents:
        for document in alternatives(value):
            listed = document.get("Statement") if isinstance(document, Mapping) else None
            for number, statement in enumerate(alternatives(listed)):
                if isinstance(statement, Mapping):
                    yield name, number, statement


def _problems(statement: Mapping[str, Any], parameters: frozenset[str]) -> Iterator[tuple[str, str]]:
    actions = [_text(action) for action in alternatives(statement.get("Action", statement.get("NotAction")))]
    judged: dict[str, list[str]] = {}
    for action in actions:
        if UNKNOWN in action or action == "*":
            continue
        service, _, name = action.partition(":")
        if service.lower() not in _grammar():
            yield action, f"is of no service that AWS has: {service}"
            continue
        names = [known for known in _grammar()[service.lower()]["Actions"] if _meet(name.lower(), known)]
        if names:
            judged[action] = names
        else:
            yield action, f"is no action of {service}"
    if "Action" in statement and "Resource" in statement:
        yield from _misplaced(judged, list(alternatives(statement["Resource"])), parameters, len(actions))
    for key in _condition_keys(statement):
        for action, names in judged.items():
            if not any(_knows(action.partition(":")[0].lower(), name, key.lower()) for name in names):
                yield action, f"knows no condition key {key}"


def _condition_keys(statement: Mapping[str, Any]) -> Iterator[str]:
    for operators in alternatives(statement.get("Condition")):
        for keys in operators.values() if isinstance(operators, Mapping) else ():
            if isinstance(keys, Mapping):
                yield from map(str, keys)


def _misplaced(
    judged: Mapping[str, Sequence[str]], given: Sequence[Any], parameters: frozenset[str], actions: int
) -> Iterator[tuple[str, str]]:
    """Actions without a resource, and resources without an action."""
    if any(value == "*" or _may_be_all(value, parameters) for value in given):
        return
    texts = [_text(value) for value in given]
    used: set[str] = set()
    for action, names in judged.items():
        formats = [form for name in names for form in _formats(action.partition(":")[0].lower(), name)]
        if not formats:
            yield action, f"knows no resource types, so Resource should be '*'; got {_shown(texts)}"
            used.update(texts)
            continue
        fitting = {text for text in texts if any(_fits(text, form) for form in formats)}
        if not fitting:
            yield action, f"is for {' or '.join(sorted(set(formats)))}; got {_shown(texts)}"
            used.update(texts)
        used |= fitting
    if len(judged) == actions:
        for text in dict.fromkeys(texts):
            if text not in used:
                yield ", ".join(judged), f"have no use for {_shown([text])}"


def _may_be_all(value: Any, parameters: frozenset[str]) -> bool:
    name = intrinsic(value)
    return name == "Fn::FindInMap" or (name == "Ref" and str(value["Ref"]) in parameters)


def _knows(service: str, action: str, key: str) -> bool:
    prefix, _, rest = key.partition(":")
    if prefix == "aws" or key in EVERYWHERE or UNKNOWN in key:
        return True
    if prefix != service:
        return False
    if service not in ACTION_KEYS:
        return True
    return any(
        rest == known or (known[-1:] in {"/", ":"} and rest.startswith(known))
        for known in (*LESS.get(f"{service}:{action}", ACTION_KEYS[service]).split(), *_resource_keys(service))
    )


@cache
def _resource_keys(service: str) -> frozenset[str]:
    """The condition keys of the service's resource types, without its name; those that take a tag end with `/`."""
    keys = {key for kind in _grammar()[service]["Resources"].values() for key in kind.get("ConditionKeys", ())}
    own = (key.lower().partition(":")[2] for key in keys if key.lower().startswith(f"{service}:"))
    return frozenset(re.sub(r"(\$\{\w+\}|tag-key)$", "", key) for key in own)


def _formats(service: str, action: str) -> list[str]:
    """The ARNs that this action is for, with `*` for what varies."""
    grammar = _grammar()[service]
    kinds = grammar["Actions"][action].get("Resources", ())
    formats = [form for kind in kinds for form in grammar["Resources"][kind.lower()].get("ARNFormats", ())]
    return [re.sub(r"\$\{\w+\}", "*", form.replace(".*", "*")) for form in formats]


def _fits(text: str, form: str) -> bool:
    """Whether this text and this form have an ARN in common. A wildcard does not reach over a colon before the name.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    parts = text.split(":", 5)
    if any(UNKNOWN in part for part in parts[:5]):
        return True
    if len(parts) < 6:
        return False
    return all(_meet(part.replace(UNKNOWN, "*"), known) for part, known in zip(parts, form.split(":", 5), strict=True))


@lru_cache(maxsize=1 << 16)
def _meet(one: str, other: str) -> bool:
    """Whether two patterns with `*` and `?` have a text in common."""
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "*":
        return _meet(one, other[1:]) or _meet(one[1:], other)
    return (one[0] == other[0] or "?" in {one[0], other[0]}) and _meet(one[1:], other[1:])


def _text(value: Any) -> str:
    """The value as a text with `*` for account, region and partition, and UNKNOWN for what is known later."""
    # A policy variable, such as ${aws:username}, is known when somebody asks.
    return re.sub(r"\$\{[^}]*\}", UNKNOWN, text_of(value, lambda name: "*" if name in _ANY else UNKNOWN))


def _shown(texts: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(text.replace(UNKNOWN, "…") for text in texts))


@cache
def _grammar() -> dict[str, Any]:
    """Actions and resources by service, all in lower case."""
    text = files.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text(encoding="utf-8")
    grammar: dict[str, Any] = json.loads(text)
    return grammar
