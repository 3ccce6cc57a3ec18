"""What stands before every request: the limit on its size, headers on its answer, and how often one may ask."""

from __future__ import annotations

import ipaddress
import math
import time
from dataclasses import dataclass, field
from typing import Literal

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tastemaker.study.web import errors, headers, texts
from tastemaker.study.web.settings import Settings

What = Literal["logins", "posts", "reads"]
"""What is counted; the limits are fields of `Settings`."""
LARGEST_BODY = 64 << 10
"""Bytes of a request."""
NETWORK = 64
"""Bits of an IPv6 address that belong to one place: whoever has one address there has them all."""


class Guard:
    """Around the whole app: refuses a request over `LARGEST_BODY` before anything reads it, and sets `headers`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                _seal(scope["path"], MutableHeaders(scope=message))
            await send(message)

        body = await _read(scope, receive)
        if body is None:
            refusal = errors.answer(Request(scope), 413, texts.TOO_LARGE, {"Connection": "close"})
            await refusal(scope, receive, sealed)
        else:
            await self.app(scope, _again(body, receive), sealed)


@dataclass(frozen=True)
class Limits:
    """How often one may ask, counted in memory over the last minute: a restart forgives."""

    settings: Settings
    _counter: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))

    def hit(self, what: What, who: str) -> None:
        """Count one more; raises `errors.Refused` with 429 and when to come again, where it is one too many."""
        limit = RateLimitItemPerMinute(getattr(self.settings, what))
        if not self._counter.hit(limit, what, who):
            free = self._counter.get_window_stats(limit, what, who).reset_time
            seconds = max(1, math.ceil(free - time.time()))
            raise errors.Refused(429, texts.slow_down(seconds), seconds)


def address(request: Request) -> str:
    """Where a request comes from: the address, of IPv6 its network."""
    host = request.client.host if request.client else ""
    try:
        place = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if place.version == 4 else str(ipaddress.ip_network((place, NETWORK), strict=False))


def _seal(path: str, to: MutableHeaders) -> None:
    to.update(headers.ALWAYS)
    if "Cache-Control" not in to:
        to.update(headers.CHECKED if path.startswith("/static/") else headers.FRESH)


async def _read(scope: Scope, receive: Receive) -> list[Message] | None:
    """The request's messages, with or without a length before them; None as soon as they are too large."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if not length.isdigit() or int(length[:20]) > LARGEST_BODY:
        return None
    read: list[Message] = []
    size = 0
    while not read or read[-1].get("more_body"):
        read.append(await receive())
        size += len(read[-1].get("body", b""))
        if size > LARGEST_BODY:
            return None
    return read


def _again(messages: list[Message], receive: Receive) -> Receive:
    """``receive`` from the start: ``messages``, then what comes after them."""
    waiting = iter(messages)

    async def replay() -> Message:
        return next(waiting, None) or await receive()

    return replay
