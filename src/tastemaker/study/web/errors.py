"""What is answered when something is wrong: one line, as JSON to the page's script and as a page to people."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tastemaker.base.errors import UserError
from tastemaker.study.assign import Unknown
from tastemaker.study.db import Unavailable
from tastemaker.study.votes import Late
from tastemaker.study.web import headers, pages, texts

SCRIPTED = ("/api/", "/image/")
"""Addresses that the page's script calls."""
AGAIN_SECONDS = 2
LINES = {403: texts.ADMIN_CLOSED, 404: texts.NO_PAGE, 405: texts.NO_PAGE, 413: texts.TOO_LARGE}

logger = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is answered with ``status`` and one ``line``; ``retry`` is in seconds, 0 for never."""

    def __init__(self, status: int, line: str, retry: int = 0) -> None:
        super().__init__(line)
        self.status = status
        self.line = line
        self.retry = retry


def answer(request: Request, status: int, line: str, extra: Mapping[str, str] | None = None) -> Response:
    """``line`` in the form that this address answers with."""
    if request.url.path.startswith(SCRIPTED):
        response: Response = JSONResponse({"error": line}, status)
    else:
        response = pages.message(line, status)
    response.headers.update(headers.ALWAYS | headers.FRESH | dict(extra or {}))
    return response


def handle(app: FastAPI) -> None:
    """Let ``app`` answer every error as above. What only we can mend is logged, and its own words stay inside."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(UserError, _mistaken)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _by_status)
    app.add_exception_handler(Exception, _broken)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    again = {"Retry-After": str(error.retry)} if error.retry else {}
    if error.status == 503 and request.method == "GET":
        again |= {"Refresh": str(error.retry)}  # a page that comes by itself when the study can be reached
    return answer(request, error.status, error.line, again)


def _mistaken(request: Request, error: Exception) -> Response:
    if isinstance(error, Unavailable):
        logger.warning("%s", error)
        return answer(request, 503, texts.BUSY, {"Retry-After": str(AGAIN_SECONDS)})
    status = 404 if isinstance(error, Unknown) else 409 if isinstance(error, Late) else 400
    return answer(request, status, str(error))


def _not_understood(request: Request, _: Exception) -> Response:
    return answer(request, 400, texts.NOT_UNDERSTOOD)


def _by_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(request, error.status_code, LINES.get(error.status_code, texts.NOT_UNDERSTOOD), error.headers)


def _broken(request: Request, _: Exception) -> Response:
    return answer(request, 500, texts.BROKEN)
