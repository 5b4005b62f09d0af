"""From a deployment's name and a CDK context to what synthesizes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.express_plus_rows import EXPRESS_PLUS
from hostemr.deployment.load import load, load_express_plus, load_registration
from hostemr.deployment.registration_rows import REGISTRATION
from hostemr.errors import HostemrError
from hostemr.stacks.registration_image import checkout


def maker(deployment: str, context: Mapping[str, object]) -> Callable[[str], object]:
    """What synthesizes the deployment into a folder. Raises SettingsError before aws_cdk is imported.

    So wrong settings are told without waiting for Node.js.
    """
    if deployment == EXPRESS_PLUS:
        template = load_express_plus(context)

        def make_template(outdir: str) -> object:
            from hostemr.stacks.app import build_express_plus

            return build_express_plus(template, outdir=outdir).synth()

        return make_template
    if deployment == REGISTRATION:
        service = load_registration(context)
        if service.image is None:
            checkout()

        def make_service(outdir: str) -> object:
            from hostemr.stacks.registration_app import build_registration

            return build_registration(service, outdir=outdir).synth()

        return make_service
    settings = load(deployment, context)

    def make_stacks(outdir: str) -> object:
        from hostemr.stacks.app import build

        return build(APPLICATIONS[deployment], settings, outdir=outdir).synth()

    return make_stacks


def report(error: HostemrError) -> None:
    """Tell an error on stderr, one line for each problem: the CDK shows what its app prints there."""
    for line in error.message.split("\n"):
        print(f"error: {line}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201
