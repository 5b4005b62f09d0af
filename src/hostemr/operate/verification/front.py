"""The deployment as a visitor without a password finds it: what all checks share."""

from __future__ import annotations

from functools import cached_property

from hostemr.operate.verification.outcome import Failed
from hostemr.operate.verification.web import Cookies, NoAnswer, Reply, Web


class Front:
    """The page that a browser comes to first, asked for once, with the cookies of that visit."""

    def __init__(self, web: Web, start: str) -> None:
        self.web = web
        self.start = start
        self.cookies = Cookies()

    @property
    def page(self) -> Reply:
        """The first page, after redirects. Raises Failed where they lead elsewhere, NoAnswer as `Web` does."""
        came = self._came
        if not isinstance(came, Reply):
            raise came
        return came

    @cached_property
    def _came(self) -> Reply | Failed | NoAnswer:
        """The page, or why there is none: kept too, so that a slow failure is waited for once."""
        try:
            reply = self.web.follow(self.start, self.cookies)
        except NoAnswer as error:
            return error
        if reply.location is None:
            return reply
        return Failed(
            f"{self.start} leads to {reply.location}, away from {self.web.address.base}",
            remedy="ask for the address that it leads to, or set the site's address to this one",
        )


def reachable(web: Web) -> None:
    """Raise NoAnswer unless something answers; that its certificate is not trusted is an answer."""
    try:
        if web.address.secure:
            web.handshake()
        else:
            web.get("/")
    except NoAnswer as error:
        if type(error) is NoAnswer:
            raise NoAnswer(
                error.message, hint=error.hint or "is the deployment running, and is this its address?"
            ) from error
