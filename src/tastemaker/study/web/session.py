"""Who is asking: cookies, and the token against forged posts that is made of them. Nothing is kept on the server."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from tastemaker.base.errors import UserError
from tastemaker.study.db import Store, Unavailable
from tastemaker.study.series import Joined, Series
from tastemaker.study.web import guard, texts
from tastemaker.study.web.errors import AGAIN_SECONDS, Refused
from tastemaker.study.web.guard import Limits
from tastemaker.study.web.pictures import Pictures
from tastemaker.study.web.settings import Settings

RATER, VISITOR = "rater", "visitor"
"""Cookies: the token of a rater, and something random before joining."""
CSRF_HEADER = "X-CSRF-Token"
MONTH_SECONDS = 30 * 24 * 3600

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Desk:
    """What every route works with."""

    series: Series
    settings: Settings
    limits: Limits
    pictures: Pictures = field(default_factory=Pictures)
    joining: threading.Lock = field(default_factory=threading.Lock)
    """Held while somebody joins by the open link, so that the count of raters is right."""

    def current(self) -> Store | None:
        """`Series.current`, for raters."""
        with _said():
            return self.series.current()

    def known(self, token: str) -> Store | None:
        """`Series.known`, for raters."""
        with _said():
            return self.series.known(token)

    def joined(self, token: str) -> Joined | None:
        """`Series.joined`, for raters."""
        with _said():
            return self.series.joined(token) if token else None


def desk(request: Request) -> Desk:
    """What ``request`` works with."""
    found: Desk = request.app.state.desk
    return found


def visitor(request: Request) -> Joined | None:
    """Who has joined on this device, if anybody."""
    return desk(request).joined(token_of(request))


def reader(request: Request) -> Joined:
    """The rater who reads; raises `Refused` with 401 where nobody has joined, and 429."""
    return _counted(request, "reads")


def poster(request: Request) -> Joined:
    """The rater who posts from the page; raises `Refused` with 401, 429, and 403 unless the page's token is there."""
    joined = _counted(request, "posts")
    check(request, request.headers.get(CSRF_HEADER, ""))
    return joined


Reader = Annotated[Joined, Depends(reader)]
Poster = Annotated[Joined, Depends(poster)]
AtDesk = Annotated[Desk, Depends(desk)]


def token_of(request: Request) -> str:
    """The rater's token that this device keeps, empty where it keeps none."""
    return request.cookies.get(RATER, "")


def csrf(value: str) -> str:
    """The token against forged posts: only who can read the cookie's ``value``, or a page made with it, has it."""
    return hmac.new(value.encode(), b"csrf", hashlib.sha256).hexdigest()


def check(request: Request, given: str) -> None:
    """See that ``given`` belongs to a cookie of ``request``; raises `Refused` with 403."""
    cookies = (request.cookies.get(name, "") for name in (RATER, VISITOR))
    if not any(value and same(csrf(value), given) for value in cookies):
        raise Refused(403, texts.STALE)


def same(expected: str, given: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def key_for(request: Request) -> str:
    """The value that the forms of a page are tied to: that of a cookie, or of one to be set by `introduce`."""
    return token_of(request) or request.cookies.get(VISITOR, "") or secrets.token_urlsafe(24)


def introduce(request: Request, response: Response, key: str) -> None:
    """Give a new visitor the cookie ``key``."""
    if not token_of(request) and not request.cookies.get(VISITOR):
        secure = desk(request).settings.secure
        response.set_cookie(VISITOR, key, httponly=True, samesite="lax", secure=secure)


def remember(request: Request, response: Response, token: str) -> None:
    """Let this device be the rater's."""
    secure = desk(request).settings.secure
    response.set_cookie(RATER, token, MONTH_SECONDS, httponly=True, samesite="lax", secure=secure)


def _counted(request: Request, what: guard.What) -> Joined:
    found = visitor(request)
    if found is None:
        desk(request).limits.hit("reads", guard.address(request))
        raise Refused(401, texts.NOT_JOINED)
    desk(request).limits.hit(what, found.rater)
    return found


@contextmanager
def _said() -> Iterator[None]:
    """What is wrong with the study's files is for who runs it: raters read no folder's name."""
    try:
        yield
    except Unavailable:
        raise
    except UserError as error:
        logger.warning("%s", error)
        raise Refused(503, texts.BUSY, AGAIN_SECONDS) from None
