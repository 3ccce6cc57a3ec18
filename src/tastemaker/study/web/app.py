"""The server as an ASGI application."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from tastemaker.study.series import Series
from tastemaker.study.web import admin, errors, joining, tasks
from tastemaker.study.web.guard import Guard, Limits
from tastemaker.study.web.session import Desk
from tastemaker.study.web.settings import Settings

STATIC = Path(__file__).parent / "static"


def make_app(series: Series, settings: Settings) -> FastAPI:
    """The application that serves ``series``; all that must last is in the study's database."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.desk = Desk(series, settings, Limits(settings))
    for router in (joining.router, tasks.router, admin.entrance, admin.router):
        app.include_router(router)
    app.add_api_route("/healthz", _nothing, methods=tasks.READ, status_code=204)
    app.add_api_route("/favicon.ico", _nothing, methods=tasks.READ, status_code=204)
    app.mount("/static", StaticFiles(directory=STATIC))
    errors.handle(app)
    app.add_middleware(Guard)
    return app


def _nothing() -> Response:
    """Says that the server is there."""
    return Response(status_code=204)
