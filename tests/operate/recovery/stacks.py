"""A stand-in for CloudFormation: exports in use, what is retained, imports, stack policies."""

# ruff: noqa: N803, ARG002 -- the parameters are AWS's own, in its spelling, also where a stand-in does without

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.operate.recovery.account import BUCKET, DATA, NOW, PAIR_TYPES, REGION, SERVICE, refused

if TYPE_CHECKING:
    from tests.operate.recovery.cloud import Cloud


class CloudFormation:
    """Stacks, with those rules of CloudFormation that a change of the pair depends on."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.stacks: dict[str, dict[str, Any]] = {}
        self.change_sets: dict[str, dict[str, Any]] = {}
        self.refuses: dict[str, str] = {}
        self.importers: list[str] = []
        self.told_wrongly: dict[str, str] = {}
        self.compares_values = False
        """Whether a template with the same values is "no update", though its text differs: no page says which."""

    def deployed(self, name: str, text: dict[str, Any], resources: dict[str, str]) -> None:
        self.stacks[name] = {
            "template": text,
            "resources": resources,
            "status": "CREATE_COMPLETE",
            "policy": "",
            "events": [],
            "skipped": {},
            "then": None,
        }

    def resolve(self, stack: str, node: Any, *, resources: dict[str, str] | None = None) -> Any:
        known = self.stacks[stack]["resources"] if resources is None else resources
        if isinstance(node, list):
            return [self.resolve(stack, one, resources=known) for one in node]
        return self._resolved(stack, node, known) if isinstance(node, dict) else node

    def _resolved(self, stack: str, node: dict[str, Any], known: dict[str, str]) -> Any:
        match list(node):
            case ["Ref"]:
                return known[node["Ref"]]
            case ["Fn::ImportValue"]:
                return self.exports()[node["Fn::ImportValue"]]
            case ["Fn::Join"]:
                return node["Fn::Join"][0].join(self.resolve(stack, node["Fn::Join"][1], resources=known))
            case ["Fn::GetAtt"]:
                return self._attribute(known[node["Fn::GetAtt"][0]], node["Fn::GetAtt"][1])
        return {key: self.resolve(stack, one, resources=known) for key, one in node.items()}

    def _attribute(self, physical: str, attribute: str) -> str:
        clusters = self.cloud.rds.clusters
        if attribute == "Endpoint.Address":
            return str(clusters[physical]["Endpoint"])
        if attribute == "MasterUserSecret.SecretArn":
            return str(clusters[physical]["MasterUserSecret"]["SecretArn"])
        assert attribute == "Arn"
        return str(self.cloud.efs.systems[physical]["FileSystemArn"])

    def exports(self, **changed: tuple[dict[str, Any], dict[str, str]]) -> dict[str, str]:
        text, resources = changed.get("data", (self.stacks[DATA]["template"], self.stacks[DATA]["resources"]))
        return {
            one["Export"]["Name"]: self.resolve(DATA, one["Value"], resources=resources)
            for one in text["Outputs"].values()
            if "Export" in one
        }

    def _stack(self, name: str) -> dict[str, Any]:
        if name not in self.stacks:
            raise refused("ValidationError", "DescribeStacks", f"Stack with id {name} does not exist")
        return self.stacks[name]

    def describe_stacks(self, StackName: str) -> Any:
        stack = self._stack(StackName)
        status = stack["status"]
        if stack["then"] is not None:
            ending, stack["then"] = stack["then"], None
            ending()
        outputs = [
            {
                "OutputKey": name,
                "OutputValue": self.told_wrongly.get(name) or self.resolve(StackName, one["Value"]),
                **({"ExportName": one["Export"]["Name"]} if "Export" in one else {}),
            }
            for name, one in stack["template"]["Outputs"].items()
        ]
        found = {"StackName": StackName, "StackStatus": status, "CreationTime": NOW, "Outputs": outputs}
        return {"Stacks": [found]}

    def list_stacks(self) -> Any:
        named = [{"StackName": name, "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE"} for name in self.stacks]
        return {"StackSummaries": named}

    def list_stack_resources(self, StackName: str) -> Any:
        stack = self._stack(StackName)
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": id_,
                    "ResourceType": stack["template"]["Resources"][name]["Type"],
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for name, id_ in stack["resources"].items()
            ]
            # What a stack let go of and kept may be listed still.
            + [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": id_,
                    "ResourceType": kind,
                    "ResourceStatus": "DELETE_SKIPPED",
                }
                for name, (id_, kind) in stack["skipped"].items()
                if name not in stack["resources"]
            ]
        }

    def get_template(self, StackName: str, TemplateStage: str) -> Any:
        return {"TemplateBody": self._stack(StackName)["template"]}

    def describe_stack_events(self, StackName: str) -> Any:
        return {"StackEvents": self._stack(StackName)["events"]}

    def list_imports(self, ExportName: str) -> Any:
        users = self._users(ExportName)
        if not users:
            raise refused("ValidationError", "ListImports", f"Export '{ExportName}' is not imported by any stack.")
        return {"Imports": users}

    def _users(self, export: str) -> list[str]:
        text = json.dumps(self.stacks[SERVICE]["template"])
        return [*([SERVICE] if f'"Fn::ImportValue": "{export}"' in text else []), *self.importers]

    def get_stack_policy(self, StackName: str) -> Any:
        policy = self._stack(StackName)["policy"]
        return {"StackPolicyBody": policy} if policy else {}

    def set_stack_policy(self, StackName: str, StackPolicyBody: str) -> Any:
        self._stack(StackName)["policy"] = StackPolicyBody

    def _given(self, url: str) -> dict[str, Any]:
        prefix = f"https://{BUCKET}.s3.{REGION}.amazonaws.com/"
        assert url.startswith(prefix)
        return dict(json.loads(self.cloud.handlers["s3"].objects[url.removeprefix(prefix)]))

    def update_stack(self, StackName: str, TemplateURL: str, **request: Any) -> Any:
        stack, text = self._stack(StackName), self._given(TemplateURL)
        if stack["status"].endswith("_IN_PROGRESS"):
            raise refused("ValidationError", "UpdateStack", "is in UPDATE_IN_PROGRESS state and can not be updated")
        assert "Deny" not in (request.get("StackPolicyDuringUpdateBody") or stack["policy"]), "the policy denies it"
        if text == stack["template"] or (self.compares_values and self._same_values(StackName, text)):
            raise refused("ValidationError", "UpdateStack", "No updates are to be performed.")
        stack["status"] = "UPDATE_IN_PROGRESS"
        stack["then"] = lambda: self._update(StackName, text)
        return {}

    def _same_values(self, name: str, text: dict[str, Any]) -> bool:
        before = self.stacks[name]
        if set(text["Resources"]) != set(before["resources"]):
            return False
        return bool(self.resolve(name, text) == self.resolve(name, before["template"]))

    def _update(self, name: str, text: dict[str, Any]) -> None:
        stack = self.stacks[name]
        resources, skipped = dict(stack["resources"]), dict(stack["skipped"])
        problem = self.refuses.pop(name, "")
        for gone in set(resources) - set(text["Resources"]):
            old = stack["template"]["Resources"][gone]
            assert old.get("DeletionPolicy") == "Retain" or old["Type"] not in PAIR_TYPES, f"{gone} would be deleted"
            skipped[gone] = (resources.pop(gone), old["Type"])
        for new in set(text["Resources"]) - set(resources):
            problem = problem or f"{new} would be created, empty"
        before = {name: one.copy() for name, one in self.cloud.rds.instances.items()}
        if "Reader" in resources and not problem:
            wanted = self.resolve(
                name, text["Resources"]["Reader"]["Properties"]["DBClusterIdentifier"], resources=resources
            )
            if self.cloud.rds.instances[resources["Reader"]]["DBClusterIdentifier"] != wanted:
                del self.cloud.rds.instances[resources["Reader"]]
                resources["Reader"] = f"reader-of-{wanted}"
                self.cloud.rds._instance(resources["Reader"], wanted)
        if name == DATA and not problem:
            now, then = self.exports(), self.exports(data=(text, resources))
            changed = [one for one in now if then.get(one) != now[one] and self._users(one)]
            problem = f"Export {changed[0]} cannot be updated as it is in use" if changed else ""
        if problem:
            self.cloud.rds.instances = before
            stack["events"].insert(0, _event("UPDATE_IN_PROGRESS", "AWS::CloudFormation::Stack", name, ""))
            stack["events"].insert(0, _event("UPDATE_FAILED", "Custom::Setup", "SetupDone", problem))
            stack["status"] = "UPDATE_ROLLBACK_COMPLETE"
        else:
            stack |= {"template": text, "resources": resources, "skipped": skipped, "status": "UPDATE_COMPLETE"}

    def delete_change_set(self, StackName: str, ChangeSetName: str) -> Any:
        if self.change_sets.pop(ChangeSetName, None) is None:
            raise refused("ChangeSetNotFound")

    def create_change_set(
        self, StackName: str, ChangeSetName: str, TemplateURL: str, ResourcesToImport: list[Any], **request: Any
    ) -> Any:
        assert request["ChangeSetType"] == "IMPORT"
        assert ChangeSetName not in self.change_sets
        text, stack = self._given(TemplateURL), self.stacks[StackName]
        given = {one["LogicalResourceId"]: next(iter(one["ResourceIdentifier"].values())) for one in ResourcesToImport}
        rest = {name: one for name, one in text["Resources"].items() if name not in given}
        assert {**text, "Resources": rest} == stack["template"], "an import may add resources only"
        assert all("DeletionPolicy" in text["Resources"][name] for name in given)
        self.change_sets[ChangeSetName] = {"template": text, "resources": given}
        return {}

    def describe_change_set(self, StackName: str, ChangeSetName: str) -> Any:
        names = self.change_sets[ChangeSetName]["resources"]
        changes = [{"ResourceChange": {"Action": "Import", "LogicalResourceId": name}} for name in names]
        return {"Status": "CREATE_COMPLETE", "Changes": changes}

    def execute_change_set(self, StackName: str, ChangeSetName: str) -> Any:
        taken, stack = self.change_sets.pop(ChangeSetName), self.stacks[StackName]
        stack["status"] = "IMPORT_IN_PROGRESS"

        def end() -> None:
            stack["template"] = taken["template"]
            stack["resources"] = {**stack["resources"], **taken["resources"]}
            stack["status"] = "IMPORT_COMPLETE"

        stack["then"] = end
        return {}


def _event(status: str, kind: str, name: str, why: str) -> dict[str, Any]:
    return {"ResourceStatus": status, "ResourceType": kind, "LogicalResourceId": name, "ResourceStatusReason": why}
