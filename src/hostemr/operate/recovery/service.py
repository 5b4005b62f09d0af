"""The service while its pair is changed: nobody works on the old one while the other takes over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hostemr.deployment import outputs
from hostemr.errors import OutsideWorldError
from hostemr.operate.recovery.patience import MINUTE, Patience
from hostemr.operate.recovery.site import Site

_DIMENSION = "ecs:service:DesiredCount"


@dataclass(frozen=True, slots=True)
class Service:
    """The ECS service of a deployment, and its scaling."""

    site: Site
    patience: Patience
    cluster: str
    name: str

    def desired(self) -> int:
        """How many tasks there should be."""
        return int(self._now()["desiredCount"])

    def stop(self) -> None:
        """No task, and no scaling that starts one, until `start`."""
        self._scaling(suspended=True)
        if self.desired() != 0:
            self._ecs.update_service(cluster=self.cluster, service=self.name, desiredCount=0)
        self.patience.until(
            "the last task stops",
            lambda: sum(self._now()[one] for one in ("runningCount", "pendingCount")) == 0 or None,
            seconds=30 * MINUTE,
        )

    def start(self, tasks: int) -> None:
        """As many tasks as before, healthy, and scaling again. Raises OutsideWorldError where they do not come up."""
        if self.desired() < tasks:
            # As a deployment: only of one does ECS tell whether its tasks became healthy, and gives it up if not.
            self._ecs.update_service(
                cluster=self.cluster, service=self.name, desiredCount=tasks, forceNewDeployment=True
            )
        self._scaling(suspended=False)

        def look() -> bool | None:
            found = self._now()
            deployments = found.get("deployments", ())
            newest: dict[str, Any] = next((one for one in deployments if one["status"] == "PRIMARY"), {})
            # After a failure the circuit breaker makes the deployment of before the primary one again.
            for one in deployments:
                why = one.get("rolloutStateReason", "ECS gives no reason")
                if one.get("rolloutState") == "FAILED" or "circuit breaker" in why:
                    raise OutsideWorldError(f"The tasks do not become healthy: {why}")
            return (found["runningCount"] >= tasks and newest.get("rolloutState") == "COMPLETED") or None

        self.patience.until(f"{tasks} tasks run and are healthy", look, seconds=60 * MINUTE)

    @property
    def _ecs(self) -> Any:
        return self.site.aws.client("ecs")

    def _now(self) -> dict[str, Any]:
        found = self._ecs.describe_services(cluster=self.cluster, services=[self.name])["services"]
        if not found:
            raise OutsideWorldError(f"There is no service {self.name} in the cluster {self.cluster}.")
        one: dict[str, Any] = found[0]
        return one

    def _scaling(self, *, suspended: bool) -> None:
        client = self.site.aws.client("application-autoscaling")
        resource = f"service/{self.cluster}/{self.name}"
        known = client.describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[resource], ScalableDimension=_DIMENSION
        )["ScalableTargets"]
        if not known:
            return
        state = dict.fromkeys(
            ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), suspended
        )
        client.register_scalable_target(
            ServiceNamespace="ecs", ResourceId=resource, ScalableDimension=_DIMENSION, SuspendedState=state
        )


def service_of(site: Site, patience: Patience) -> Service:
    """The service of a deployment. Raises OutsideWorldError where its stack is not there."""
    cluster, name = (site.output(site.service_stack, one) for one in (outputs.CLUSTER, outputs.SERVICE))
    return Service(site, patience, cluster, name)
