"""Settings to app: the stacks of an application on Fargate, with cdk-nag always on."""

from __future__ import annotations

import aws_cdk as cdk
import cdk_nag

from hostemr.deployment.application import Application
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.acknowledgements import acknowledge
from hostemr.stacks.analytics import AnalyticsStack
from hostemr.stacks.data import DataStack
from hostemr.stacks.service import ServiceStack


def build(application: Application, settings: FargateSettings, *, outdir: str | None = None) -> cdk.App:
    """The app of one deployment, ready to be synthesized."""
    app = cdk.App(
        outdir=outdir,
        analytics_reporting=False,
        # Nothing reads where in our code a construct was made, nor the tree beside the templates.
        stack_traces=False,
        tree_metadata=False,
        # cfn-lint says the same in the tests, where seconds do not matter.
        builtin_cloud_formation_validation=False,
    )
    data = DataStack(app, application=application, settings=settings)
    service = ServiceStack(app, application=application, settings=settings)
    service.add_stack_dependency(data)
    stacks: dict[str, cdk.Stack] = {"data": data, "service": service}
    if settings.create_analytics:
        stacks["analytics"] = AnalyticsStack(app, application=application, settings=settings)
        # Its way out to AWS is in the service stack.
        stacks["analytics"].add_stack_dependency(service)
    acknowledge(stacks)
    for warning in settings.warnings:
        cdk.Annotations.of(service).add_warning(warning)
    for pack in (cdk_nag.AwsSolutionsChecks(verbose=True), cdk_nag.HIPAASecurityChecks(verbose=True)):
        cdk.Aspects.of(app).add(pack)
    return app
