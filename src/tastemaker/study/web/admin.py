"""Pages for whoever runs the study, behind a secret: how far it is, pause and close, new invitations."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from tastemaker.base.errors import UserError
from tastemaker.study import db, overview, raters, votes
from tastemaker.study.db import Store
from tastemaker.study.web import guard, pages, people, session, texts
from tastemaker.study.web.errors import Refused
from tastemaker.study.web.session import AtDesk, Desk
from tastemaker.study.web.tasks import READ

COOKIE = "admin"
MOST_LINKS = 200
ENTRANCE = "/admin"


def key(secret: str) -> str:
    """What the cookie of an admin holds: made of the secret, and no way back to it."""
    return hmac.new(secret.encode(), b"admin", hashlib.sha256).hexdigest()


def admitted(request: Request, desk: AtDesk) -> str:
    """The token against forged posts of an admin's pages; raises `Refused` with 403 for anybody else."""
    cookie, secret = request.cookies.get(COOKIE, ""), desk.settings.admin_secret
    if not secret or not session.same(key(secret), cookie):
        raise Refused(403, texts.ADMIN_CLOSED)
    return session.csrf(cookie)


Admitted = Annotated[str, Depends(admitted)]
entrance, router = APIRouter(), APIRouter(dependencies=[Depends(admitted)])


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True)

    csrf: str = ""
    round: int = Field(ge=0)
    """Of the series, as the page showed it: a button must not close a round that opened meanwhile."""


class State(_Form):
    """A button of the page."""

    state: Literal["open", "paused", "closed"]


class Links(_Form):
    """A wish for new invitations."""

    count: int = Field(ge=1, le=MOST_LINKS)


@entrance.api_route(ENTRANCE, methods=READ)
def enter(request: Request, desk: AtDesk, secret: str | None = None) -> Response:
    """With the ``secret`` of the printed link: the cookie, and on to the page; without: the page."""
    if secret is None:
        return _page(desk, admitted(request, desk))
    desk.limits.hit("logins", guard.address(request))
    expected = desk.settings.admin_secret
    if not expected or not session.same(expected, secret):
        raise Refused(403, texts.ADMIN_CLOSED)
    response = RedirectResponse(ENTRANCE, 303)
    secure = desk.settings.secure
    response.set_cookie(COOKIE, key(expected), path=ENTRANCE, httponly=True, samesite="strict", secure=secure)
    return response


@router.api_route("/admin/agreement", methods=READ)
def agreement(csrf: Admitted, desk: AtDesk) -> Response:
    """The page with the agreement so far, which takes a moment."""
    store = desk.series.current()
    return _page(desk, csrf, agreed=overview.agreed(store) if store else [])


@router.api_route("/admin/round/{number}/grid.png", methods=READ)
def grid(number: int, desk: AtDesk) -> Response:
    """The picture of a round."""
    picture = people.grid_of(desk.series, number)
    if picture is None:
        raise Refused(404, texts.NO_IMAGE)
    return FileResponse(picture, media_type="image/png")


@router.post("/admin/state")
def state(form: Annotated[State, Form()], csrf: Admitted, desk: AtDesk) -> Response:
    """Pause, open or close the newest study."""
    store = _meant(form, csrf, desk)
    if desk.series.rounds and form.state == "open" and db.state_of(store) == "closed":
        raise UserError("a closed round stays closed: the run has gone on with its votes")
    db.set_state(store, form.state)
    return RedirectResponse(ENTRANCE, 303)


@router.post("/admin/invite")
def invite(form: Annotated[Links, Form()], csrf: Admitted, desk: AtDesk) -> Response:
    """New invitation links, shown this once: only their hashes are kept."""
    store = _meant(form, csrf, desk)
    links = [f"{desk.settings.url}/join/{raters.invite(store)}" for _ in range(form.count)]
    return _page(desk, csrf, links=links)


def _meant(form: _Form, csrf: str, desk: Desk) -> Store:
    """The study that the page with ``form`` showed; raises `Refused` for a forged post or another study by now."""
    if not session.same(csrf, form.csrf):
        raise Refused(403, texts.STALE)
    stores = desk.series.stores()
    if form.round != len(stores) - 1:
        raise UserError("another round is open by now; load the page again")
    return stores[-1]


def _page(desk: Desk, csrf: str, **more: Any) -> Response:
    """The page; ``agreed`` and ``links`` are on it where they were asked for."""
    stores = desk.series.stores()
    store = stores[-1] if stores else None
    values: dict[str, Any] = {
        "title": store.design.title if store else pages.NAME,
        "round": len(stores) - 1,
        "status": votes.status(store) if store else None,
        "people": people.people(store) if store else [],
        "rounds": people.rounds(stores) if desk.series.rounds else [],
        "series": desk.series.rounds,
        "agreed": None,
        "links": [],
        "open_link": "" if desk.settings.by_invitation else f"{desk.settings.url}/join",
        "most_links": MOST_LINKS,
    }
    return pages.page("admin", csrf=csrf, **values | more)
