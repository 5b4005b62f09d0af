"""Settings to app: the registration service's three stacks, with cdk-nag always on."""

from __future__ import annotations

import aws_cdk as cdk

from hostemr.deployment.registration import RegistrationOnAwsSettings
from hostemr.stacks.acknowledgements import acknowledge
from hostemr.stacks.app import empty_app, finish
from hostemr.stacks.registration_acknowledgements import OF_REGISTRATION
from hostemr.stacks.registration_data import RegistrationDataStack
from hostemr.stacks.registration_mail import RegistrationMailStack
from hostemr.stacks.registration_service import RegistrationServiceStack


def build_registration(settings: RegistrationOnAwsSettings, *, outdir: str | None = None) -> cdk.App:
    """The app of the registration service on AWS, ready to be synthesized."""
    app = empty_app(outdir)
    data = RegistrationDataStack(app, settings=settings)
    mail = RegistrationMailStack(app, settings=settings)
    service = RegistrationServiceStack(app, settings=settings)
    for needed in (data, mail):
        # By name alone: the mail may be in another region.
        service.add_stack_dependency(needed)
    acknowledge({"data": data, "mail": mail, "service": service}, OF_REGISTRATION)
    finish(app, settings.warnings, at=service)
    return app
