"""The page of tasks and the interface behind it: the task, votes, undo, skip, and the images of the rater's tasks."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from tastemaker.base.errors import UserError
from tastemaker.data.images import ImageProblem
from tastemaker.study import assign, votes
from tastemaker.study.assign import Given, Unknown
from tastemaker.study.db import Unavailable
from tastemaker.study.series import Joined
from tastemaker.study.web import guard, headers, pages, people, session, texts, view
from tastemaker.study.web.errors import Refused, logger
from tastemaker.study.web.pictures import MEDIA_TYPE
from tastemaker.study.web.session import AtDesk, Desk, Poster, Reader

router = APIRouter()
READ = ["GET", "HEAD"]
TOKEN = re.compile(r"[\w-]{1,64}", re.ASCII)

Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Key = Annotated[str, Field(pattern=r"^[ -~]{1,64}$")]
Answer = StrictInt | StrictStr | list[StrictInt | list[StrictInt | StrictStr]]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Voted(_Body):
    """Answers to a task, by question and by position on the screen."""

    token: Token
    answers: dict[str, Answer] = Field(min_length=1, max_length=8)
    seconds: float
    key: Key


class Undone(_Body):
    """A wish to take back the last answers; ``key`` is the client's own for it."""

    key: Key


class Skipped(_Body):
    """A task that the rater does not want."""

    token: Token


@router.api_route("/task", methods=READ)
def task_page(request: Request, desk: AtDesk) -> Response:
    """The page on which a rater works."""
    joined = session.visitor(request)
    if joined is None:
        return RedirectResponse("/", 303)
    desk.limits.hit("reads", joined.rater)
    title, token = joined.store.design.title, session.csrf(session.token_of(request))
    return pages.page("task", title=title, csrf=token, personal_link=not desk.settings.by_invitation)


@router.get("/api/task")
def task(joined: Reader, desk: AtDesk) -> JSONResponse:
    """What is before the rater."""
    return _view(desk, joined)


@router.post("/api/vote")
def vote(said: Voted, joined: Poster, desk: AtDesk) -> JSONResponse:
    """Take answers; when this is answered with 200 they are on disk."""
    votes.take(*joined, said.token, said.answers, said.seconds, said.key, time.time())
    return _view(desk, joined)


@router.post("/api/undo")
def undo(said: Undone, joined: Poster, desk: AtDesk) -> JSONResponse:
    """Take back the answers to the last task, while it could be given again."""
    if view.can_undo(joined.store):
        votes.undo(*joined, said.key, time.time())
    return _view(desk, joined)


@router.post("/api/skip")
def skip(said: Skipped, joined: Poster, desk: AtDesk) -> JSONResponse:
    """Leave a task to others."""
    votes.skip(*joined, said.token, time.time())
    return _view(desk, joined)


@router.api_route("/image/{token}/{position}", methods=READ)
def image(request: Request, token: str, position: str, desk: AtDesk) -> Response:
    """An image of a task of the rater who asks; to everybody else there is none."""
    joined = session.visitor(request)
    desk.limits.hit("reads", joined.rater if joined else guard.address(request))
    given = _given(joined, token) if joined else None
    if joined is None or given is None or position not in map(str, range(len(given.shown))):
        raise Refused(404, texts.NO_IMAGE)
    picture = _picture(desk, joined, given, int(position))
    return Response(picture, media_type=MEDIA_TYPE, headers=headers.OWN)


@router.api_route("/round/{number}.png", methods=READ)
def grid(request: Request, number: int, desk: AtDesk) -> Response:
    """What the model of a run drew in a round, for its raters: all is of one model, so nothing is given away."""
    joined = session.visitor(request)
    desk.limits.hit("reads", joined.rater if joined else guard.address(request))
    picture = people.grid_of(desk.series, number) if joined else None
    if picture is None:
        raise Refused(404, texts.NO_IMAGE)
    return FileResponse(picture, media_type="image/png", headers=headers.OWN)


def _view(desk: Desk, joined: Joined) -> JSONResponse:
    shown: dict[str, Any] = view.view(desk.series, joined, time.time())
    return JSONResponse(shown)


def _given(joined: Joined, token: str) -> Given | None:
    """The task of the rater that ``token`` names."""
    if not TOKEN.fullmatch(token):
        return None
    try:
        with joined.store.read() as connection:
            return assign.as_given(joined.store.design, assign.find(connection, joined.rater, token))
    except Unknown:
        return None


def _picture(desk: Desk, joined: Joined, given: Given, position: int) -> bytes:
    try:
        return desk.pictures.picture(joined.store.folder, given.item, given.shown[position])
    except Unavailable:
        raise
    except (UserError, ImageProblem) as error:  # says which image of which folder, which raters must not read
        logger.warning("%s: %s", joined.store.folder, error)
        raise Refused(500, texts.BROKEN) from None
