"""Settings to app: the stacks of an application on Fargate, or the one server; with cdk-nag always on."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
import cdk_nag

from hostemr.deployment.application import Application
from hostemr.deployment.express_plus import ExpressPlusSettings
from hostemr.deployment.settings import FargateSettings
from hostemr.stacks.acknowledgements import acknowledge
from hostemr.stacks.analytics import AnalyticsStack
from hostemr.stacks.data import DataStack
from hostemr.stacks.express_plus import ExpressPlusStack
from hostemr.stacks.express_plus_acknowledgements import OF_EXPRESS_PLUS
from hostemr.stacks.express_plus_server import Program
from hostemr.stacks.host_program import host_program
from hostemr.stacks.launch import launch_script
from hostemr.stacks.service import ServiceStack


def build(application: Application, settings: FargateSettings, *, outdir: str | None = None) -> cdk.App:
    """The app of one deployment on Fargate, ready to be synthesized."""
    app = empty_app(outdir)
    data = DataStack(app, application=application, settings=settings)
    service = ServiceStack(app, application=application, settings=settings)
    service.add_stack_dependency(data)
    stacks: dict[str, cdk.Stack] = {"data": data, "service": service}
    if settings.create_analytics:
        stacks["analytics"] = AnalyticsStack(app, application=application, settings=settings)
        # Its way out to AWS is in the service stack.
        stacks["analytics"].add_stack_dependency(service)
    acknowledge(stacks)
    finish(app, settings.warnings, at=service)
    return app


def build_express_plus(
    settings: ExpressPlusSettings, *, program: Program | None = None, outdir: str | None = None
) -> cdk.App:
    """The app of one server's template, ready to be synthesized; `program` is what the server runs, by default ours."""
    app = empty_app(outdir)
    shipped = program or Program(agent=host_program(), script=launch_script)
    stack = ExpressPlusStack(app, settings=settings, program=shipped)
    acknowledge({"express-plus": stack}, OF_EXPRESS_PLUS)
    finish(app, settings.warnings, at=stack)
    return app


def empty_app(outdir: str | None) -> cdk.App:
    """An app that synthesizes into a folder what is added to it."""
    return cdk.App(
        outdir=outdir,
        analytics_reporting=False,
        # Nothing reads where in our code a construct was made, nor the tree beside the templates.
        stack_traces=False,
        tree_metadata=False,
        # cfn-lint says the same in the tests, where seconds do not matter.
        builtin_cloud_formation_validation=False,
    )


def finish(app: cdk.App, warnings: Sequence[str], *, at: cdk.Stack) -> None:
    """Say what is doubtful, and let cdk-nag look at everything."""
    for warning in warnings:
        cdk.Annotations.of(at).add_warning(warning)
    for pack in (cdk_nag.AwsSolutionsChecks(verbose=True), cdk_nag.HIPAASecurityChecks(verbose=True)):
        cdk.Aspects.of(app).add(pack)
