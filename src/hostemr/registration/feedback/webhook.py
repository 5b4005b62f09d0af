"""`/api/feedback/ses`: what Amazon SES reports about mail, brought by Amazon SNS."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hostemr.deployment.registration_events import SNS_REFUSED_EVENT
from hostemr.errors import OutsideWorldError
from hostemr.registration.bodies import read_body
from hostemr.registration.feedback.events import FeedbackSink, NotFeedback, events_of
from hostemr.registration.feedback.sns import (
    MessageRefused,
    MessageVerifier,
    Notification,
    SNSMessage,
    SubscriptionConfirmation,
)
from hostemr.registration.headers import header
from hostemr.registration.metrics import Metrics
from hostemr.registration.replies import JSONReply
from hostemr.registration.routes import routes_for
from hostemr.registration.setting_values import TOPIC_ARN

PATH = "/api/feedback/ses"
MOST_BODY_BYTES = 300_000
"""SNS carries 256 KiB (sns/latest/api/API_Publish.html), to which it adds the fields around them. Reports of
SES are far smaller: it cuts the headers that they quote at 10 KB (notification-contents.html)."""


class ConfirmationFailed(OutsideWorldError):
    """SNS did not take the confirmation of a subscription; it will ask for it again."""

    http_status = 503
    wire_name = "ServiceUnavailableException"


class SubscriptionConfirmer(Protocol):
    """Agrees to subscriptions."""

    async def confirm(self, topic_arn: str, token: str) -> None:
        """Confirm the subscription that the token is for. Raises ConfirmationFailed."""
        ...


class SNSSubscriptionConfirmer:
    """Confirms with a signed call of our own, so that only we can end the subscription.

    The SubscribeURL in the message is never opened: a URL out of a request is not a thing to fetch.
    Needs the permission sns:ConfirmSubscription. Without keys it uses the machine's role.
    """

    def __init__(self, access_key_id: str | None = None, secret_access_key: str | None = None) -> None:
        self._keys = {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret_access_key}

    async def confirm(self, topic_arn: str, token: str) -> None:
        """As the port says."""
        await asyncio.to_thread(self._confirm, topic_arn, token)

    def _confirm(self, topic_arn: str, token: str) -> None:
        # Subscriptions are confirmed once in the life of a topic; the library takes long to load.
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        config = Config(connect_timeout=3, read_timeout=8, retries={"total_max_attempts": 1})
        region = topic_arn.split(":")[3]
        try:
            # A session of its own: the default one is not for several threads at a time.
            client = boto3.session.Session(**self._keys).client("sns", region_name=region, config=config)
            client.confirm_subscription(TopicArn=topic_arn, Token=token, AuthenticateOnUnsubscribe="true")
        except (BotoCoreError, ClientError) as error:
            message = "Amazon SNS did not confirm the subscription."
            raise ConfirmationFailed(message, hint=str(error)) from error


def sns_routes(
    verifier: MessageVerifier,
    confirmer: SubscriptionConfirmer,
    sink: FeedbackSink,
    metrics: Metrics,
    body_bytes: int = MOST_BODY_BYTES,
) -> list[BaseRoute]:
    """The route of this feature."""
    return [*routes_for(PATH, _Webhook(verifier, confirmer, sink, metrics, body_bytes).receive, "POST")]


class _Webhook:
    """Answers SNS, which sends again what got a 5xx, or no answer within some 15 seconds.

    A 4xx it takes for delivered (sns/latest/dg/SendMessageToHttp.prepare.html). So what may yet
    succeed is a 503, and a message that is SNS's own but makes no sense is a 200.
    """

    def __init__(
        self,
        verifier: MessageVerifier,
        confirmer: SubscriptionConfirmer,
        sink: FeedbackSink,
        metrics: Metrics,
        body_bytes: int,
    ) -> None:
        self._verifier = verifier
        self._confirmer = confirmer
        self._sink = sink
        self._metrics = metrics
        self._body_bytes = body_bytes
        self._log = structlog.get_logger("hostemr.feedback")

    async def receive(self, request: Request) -> Response:
        message = await self._verified(request)
        if isinstance(message, Notification):
            await self._take(message)
        elif isinstance(message, SubscriptionConfirmation):
            await self._confirmer.confirm(message.topic_arn, message.token)
            self._log.info("subscription to an SNS topic confirmed", topic_arn=message.topic_arn)
        else:
            self._log.warning("subscription to an SNS topic ended: no more feedback", topic_arn=message.topic_arn)
        return JSONReply({"status": "ok"})

    async def _verified(self, request: Request) -> SNSMessage:
        topic_arn = header(request.scope, b"x-amz-sns-topic-arn")
        try:
            self._verifier.check_announced(topic_arn)
            return await self._verifier.verify(await read_body(request, self._body_bytes), topic_arn)
        except MessageRefused as error:
            reason = error.reason
            if header(request.scope, b"x-amz-sns-rawdelivery") == "true":
                reason += "; raw message delivery is on, which carries no signature"
            known_form = topic_arn if TOPIC_ARN.fullmatch(topic_arn) else ""
            self._metrics.sns_refused.inc()
            self._log.warning(SNS_REFUSED_EVENT, reason=reason, topic_arn=known_form)
            raise

    async def _take(self, notification: Notification) -> None:
        message_id = notification.message_id
        try:
            events = events_of(notification.message, notification.at)
        except NotFeedback as error:
            self._log.warning("message from SNS is not SES's", message_id=message_id, reason=str(error))
            return
        if events and not await self._sink.apply(message_id, events):
            self._log.info("message from SNS was known", message_id=message_id)
