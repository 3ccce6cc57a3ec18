"""How people come in: the first page, the consent, an invitation or the open link, and the way back."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Form
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tastemaker.base.errors import UserError
from tastemaker.study import raters
from tastemaker.study.db import Store, Unavailable
from tastemaker.study.series import Joined
from tastemaker.study.web import guard, pages, session, texts
from tastemaker.study.web.errors import Refused
from tastemaker.study.web.session import AtDesk, Desk
from tastemaker.study.web.tasks import READ

router = APIRouter()
SOON_SECONDS = 10


class Filled(BaseModel):
    """What a person fills in to join."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    passphrase: str = ""
    agree: str = ""
    csrf: str = ""


Form_ = Annotated[Filled, Form()]
EMPTY = Filled()


@router.api_route("/", methods=READ)
def start(request: Request, desk: AtDesk) -> Response:
    """Where people land who know the address alone."""
    joined = _visitor(request, desk)
    if joined:
        return RedirectResponse("/task", 303)
    store = desk.current()
    title = store.design.title if store else pages.NAME
    if desk.settings.by_invitation:
        return pages.message(texts.BY_INVITATION, title=title)
    return pages.message(texts.WELCOME, title=title, link="/join", label="Take part")


@router.api_route("/join", methods=READ)
def open_form(request: Request, desk: AtDesk) -> Response:
    """The form behind the open link."""
    joined = _visitor(request, desk)
    return _form(request, _opened(desk), name=_name(joined))


@router.api_route("/join/{token}", methods=READ)
def personal_form(request: Request, token: str, desk: AtDesk) -> Response:
    """The form behind an invitation; a button to go on where it was used, for previews of links must not log in."""
    _visitor(request, desk)
    store = _invited(desk, token)
    return _form(request, store, token, name=_name(desk.joined(token)))


@router.post("/join")
def join(request: Request, filled: Form_, desk: AtDesk) -> Response:
    """Take in somebody by the open link."""
    store = _opened(desk)
    try:
        _checked(request, filled)
        if not session.same(desk.settings.passphrase.strip(), filled.passphrase.strip()):
            raise Refused(403, texts.WRONG_PASSPHRASE)
        token = _admit(desk, store, filled)
    except (Refused, UserError) as error:
        return _again(request, store, error, filled)
    return _welcome(request, token)


@router.post("/join/{token}")
def join_by_invitation(request: Request, token: str, filled: Form_, desk: AtDesk) -> Response:
    """Take in whom the invitation is for, or back whoever has used it before."""
    store = _invited(desk, token)
    joined = desk.joined(token)
    try:
        _checked(request, filled)
        if joined is None:
            _agreed(filled)
            raters.join(store, filled.name, token, time.time())
    except (Refused, UserError) as error:
        return _again(request, store, error, filled, token, _name(joined))
    return _welcome(request, token)


@router.api_route("/me", methods=READ)
def me(request: Request, desk: AtDesk) -> Response:
    """The rater's own link, for another device."""
    joined = _visitor(request, desk)
    if joined is None:
        return RedirectResponse("/", 303)
    link = f"{desk.settings.url}/join/{session.token_of(request)}"
    return pages.page("me", title=joined.store.design.title, name=_name(joined), link=link)


def _visitor(request: Request, desk: Desk) -> Joined | None:
    """Who has joined on this device; every look at a page counts."""
    joined = session.visitor(request)
    desk.limits.hit("reads", joined.rater if joined else guard.address(request))
    return joined


def _name(joined: Joined | None) -> str:
    return raters.names(joined.store)[joined.rater] if joined else ""


def _opened(desk: Desk) -> Store:
    """The study that the open link leads to."""
    if desk.settings.by_invitation:
        raise Refused(404, texts.BY_INVITATION)
    store = desk.current()
    if store is None:
        raise Refused(503, texts.NOT_YET, SOON_SECONDS)
    return store


def _invited(desk: Desk, token: str) -> Store:
    """The study that the invitation ``token`` leads to."""
    store = desk.known(token)
    if store is None:
        raise Refused(404, texts.NO_SUCH_LINK)
    return store


def _checked(request: Request, filled: Filled) -> None:
    session.desk(request).limits.hit("logins", guard.address(request))
    session.check(request, filled.csrf)


def _agreed(filled: Filled) -> None:
    if not filled.agree:
        raise Refused(400, texts.DISAGREE)


def _admit(desk: Desk, store: Store, filled: Filled) -> str:
    """The token of a new rater, as long as there are not too many."""
    name = raters.as_kept(filled.name)
    _agreed(filled)
    with desk.joining:
        if raters.count(store) >= desk.settings.max_raters:
            raise Refused(403, texts.FULL)
        token = raters.invite(store)
        raters.join(store, name, token, time.time())
    return token


def _welcome(request: Request, token: str) -> Response:
    response = RedirectResponse("/task", 303)
    session.remember(request, response, token)
    return response


def _again(
    request: Request, store: Store, error: Exception, filled: Filled, token: str = "", name: str = ""
) -> Response:
    """The form once more, with what was wrong; what is no mistake of the person goes its own way."""
    if isinstance(error, Unavailable):
        raise error
    status, retry = (error.status, error.retry) if isinstance(error, Refused) else (400, 0)
    response = _form(request, store, token, name, status, str(error), filled)
    if retry:
        response.headers["Retry-After"] = str(retry)
    return response


def _form(
    request: Request,
    store: Store,
    token: str = "",
    name: str = "",
    status: int = 200,
    wrong: str = "",
    filled: Filled = EMPTY,
) -> Response:
    """The form; ``name`` is of who has joined already: with the invitation ``token``, else on this device."""
    key = session.key_for(request)
    response = pages.page(
        "join",
        status,
        title=store.design.title,
        csrf=session.csrf(key),
        action=f"/join/{token}" if token else "/join",
        personal=bool(token),
        joined=name,
        consent=texts.paragraphs(store.design.consent),
        wrong=wrong,
        name=filled.name,
        agree=bool(filled.agree),
    )
    session.introduce(request, response, key)
    return response
