"""Reading a template: what its containers are told, with the references of CloudFormation made plain."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

from hostemr.deployment.openmrs import OPENMRS
from hostemr.stacks.programs import program_parts, program_text


def environment(container: Mapping[str, Any]) -> dict[str, Any]:
    return {one["Name"]: one["Value"] for one in container["Environment"]}


def secrets(container: Mapping[str, Any]) -> dict[str, str]:
    return {one["Name"]: rendered(one["ValueFrom"], {}) for one in container["Secrets"]}


def rendered(value: Any, template: Mapping[str, Any], region: str = "us-east-1") -> Any:
    """A value as CloudFormation would make it: what is not known before it is made stands in braces."""
    if isinstance(value, list):
        return [rendered(one, template, region) for one in value]
    if not isinstance(value, Mapping):
        return value
    match list(value.items()):
        case [("Ref", name)]:
            known = {"AWS::Region": region, "AWS::URLSuffix": "amazonaws.com", "AWS::Partition": "aws"}
            plain: Any = known.get(name, f"{{{name}}}")
        case [("Fn::GetAtt", parts)]:
            plain = f"{{{'.'.join(parts)}}}"
        case [("Fn::ImportValue", name)]:
            plain = f"{{{name}}}"
        case [("Fn::Join", [separator, parts])]:
            plain = separator.join(rendered(part, template, region) for part in parts)
        case [("Fn::FindInMap", [name, key, entry])]:
            plain = template["Mappings"][name][rendered(key, template, region)][entry]
        case pairs:
            plain = {key: rendered(one, template, region) for key, one in pairs}
    return plain


def openmrs_program(program: str) -> str:
    """What a container of OpenMRS runs."""
    return program_text(OPENMRS, program)


@cache
def jdbc_url() -> str:
    """The address as the program itself makes it."""
    script = "\n".join(program_parts(OPENMRS, "worker")[1:2]) + "\njdbc_url\n"
    variables = {"OMRS_DB_HOSTNAME": "db.example", "OMRS_DB_PORT": "3306", "OMRS_DB_NAME": "openmrs"}
    command = ["/bin/sh", "-euc", script]
    return subprocess.run(command, env=variables, capture_output=True, check=True, text=True).stdout
