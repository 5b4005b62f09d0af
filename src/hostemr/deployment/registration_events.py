"""Names in the registration service's log that alarms on AWS count.

The service writes one JSON object a line; the deployment's metric filters read the fields named
here. Both take the names from this module, so that an alarm cannot watch for a word that the
service no longer says.
"""

from __future__ import annotations

# The field that says what a line is about.
EVENT_FIELD = "event"

# Every worker, once at its start and then each minute: how the queue stands.
QUEUE_EVENT = "queue"
QUEUE_INTERVAL_SECONDS = 60
# Age in seconds of the oldest recipient that should have been sent and is not; 0 where none waits.
QUEUE_OLDEST_SECONDS = "oldest_seconds"
# Recipients of running broadcasts that were not handed over yet.
QUEUE_WAITING = "waiting"
# Recipients of whom nobody knows whether they were sent: a worker died at the wrong moment.
QUEUE_AMBIGUOUS = "ambiguous"
# Broadcasts that paused themselves because too much went wrong.
QUEUE_PAUSED = "paused"
# Recipients that finally failed since this process's last such line.
QUEUE_FAILED = "failed"
QUEUE_FIELDS = (QUEUE_OLDEST_SECONDS, QUEUE_WAITING, QUEUE_AMBIGUOUS, QUEUE_PAUSED, QUEUE_FAILED)

# The web process, for each message to the webhook of SNS that it did not believe.
SNS_REFUSED_EVENT = "sns message refused"
