"""What `aws` does for the agent, without AWS: secrets from a file, metrics into one, S3 by the real command line.

Run as a program of its own, under the name `aws`. The folder in `STAND_IN` holds `secrets.json` (by ARN),
`metrics.jsonl` (every metric put), `aws.jsonl` (every command), `aws-down`, which makes every call fail, and
`listing.json`, what every listing of a bucket answers.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

REAL = "/usr/bin/aws"
HOME = Path(os.environ.get("STAND_IN", "/nonexistent"))


def main(arguments: list[str]) -> int:
    """One call, as the AWS command line takes it."""
    with (HOME / "aws.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    if (HOME / "aws-down").exists():
        print("Could not connect to the endpoint URL", file=sys.stderr)
        return 255
    given = json.loads(arguments[arguments.index("--cli-input-json") + 1]) if "--cli-input-json" in arguments else {}
    if "get-secret-value" in arguments:
        known = json.loads((HOME / "secrets.json").read_text())
        if given["SecretId"] not in known:
            print("An error occurred (ResourceNotFoundException)", file=sys.stderr)
            return 254
        print(json.dumps({"SecretString": known[given["SecretId"]]}))
    elif "put-metric-data" in arguments:
        with (HOME / "metrics.jsonl").open("a") as log:
            for one in given["MetricData"]:
                log.write(json.dumps([one["MetricName"], one["Value"]]) + "\n")
    elif "list-objects-v2" in arguments and (HOME / "listing.json").exists():
        print((HOME / "listing.json").read_text())
    # Never to AWS itself: only where a test has an S3 of its own.
    elif {"s3", "s3api"} & set(arguments) and "--endpoint-url" in arguments:
        os.execv(REAL, [REAL, *arguments])
    else:
        print(f"unknown call: {arguments}", file=sys.stderr)
        return 252
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
