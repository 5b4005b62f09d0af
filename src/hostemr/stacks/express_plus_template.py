"""One template of Express Plus on stdout, and nothing else there: what `stack.py` in deployments/express-plus runs."""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hostemr.deployment.express_plus import ExpressPlusSettings
from hostemr.deployment.load import file_context, load_express_plus
from hostemr.errors import FindingsError, HostemrError, OutsideWorldError
from hostemr.stacks.maker import report

if TYPE_CHECKING:
    from aws_cdk.cx_api import SynthesisMessage

LONGEST_TEMPLATE = 1_000_000
"""Bytes that CloudFormation takes from S3, where the console puts what is uploaded to it. As the body of a request of
its own a template may have 51,200 only, which this one never keeps to: `aws cloudformation deploy` needs --s3-bucket.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""


def main(arguments: Sequence[str]) -> int:
    """Write the template in UTF-8 with LF; answers the exit status."""
    parser = argparse.ArgumentParser(
        prog="stack.py",
        description="Writes the CloudFormation template of OpenEMR Express Plus to stdout.",
        epilog="Exit status: 0 done, 1 findings of cdk-nag, 2 wrong use or settings, 3 synthesis failed.",
    )
    parser.add_argument("--recovery", action="store_true", help="a server that starts from another stack's backups")
    parser.add_argument("--dev", action="store_true", help="for trials: the data volume goes with the stack")
    parser.add_argument("--settings", type=Path, metavar="CDK_JSON", help="a cdk.json whose context is to count")
    told = parser.parse_args(arguments)
    try:
        context = dict(file_context(told.settings)) if told.settings else {}
        # What the file says stays unless the command line says more.
        context |= {name: True for name in ("recovery", "dev") if getattr(told, name)}
        settings = load_express_plus(context)
        text = template_text(settings)
    except HostemrError as error:
        report(error)
        return error.exit_status
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201
    # As bytes: Windows would make CRLF of every line, and its own code page of the rest.
    sys.stdout.buffer.write(text.encode("ascii"))
    return 0


def template_text(settings: ExpressPlusSettings) -> str:
    """The template as JSON in ASCII, which is UTF-8 too. Raises FindingsError, or OutsideWorldError without Node.js."""
    node = os.environ.get("JSII_NODE", "node")
    if shutil.which(node) is None:
        raise OutsideWorldError(
            f"Synthesis failed: there is no Node.js at {node}", hint="run `make cdk`, or mend JSII_NODE"
        )
    try:
        import jsii

        from hostemr.stacks.app import build_express_plus

        with tempfile.TemporaryDirectory(prefix="hostemr-express-plus-") as folder:
            stack = build_express_plus(settings, outdir=folder).synth().stacks[0]
            findings = [f"{message.id.lstrip('/')}: {message.entry.data}" for message in _errors(stack.messages)]
            text = json.dumps(stack.template, indent=1)
    except ImportError as error:
        raise HostemrError(f"{error.name} is not installed.", hint="run `make cdk` in the project's root") from error
    except (jsii.errors.JSIIError, OSError) as error:
        raise OutsideWorldError(f"Synthesis failed: {str(error).splitlines()[0]}") from error
    if findings:
        raise FindingsError("\n".join(findings))
    if len(text) > LONGEST_TEMPLATE:
        raise FindingsError(f"The template has {len(text)} bytes, CloudFormation takes {LONGEST_TEMPLATE}.")
    return text + "\n"


def _errors(messages: Sequence[SynthesisMessage]) -> list[SynthesisMessage]:
    from aws_cdk.cx_api import SynthesisMessageLevel

    return [message for message in messages if message.level == SynthesisMessageLevel.ERROR]


if __name__ == "__main__":
    gc.disable()
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
