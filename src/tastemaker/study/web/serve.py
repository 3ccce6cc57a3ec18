"""Running the server until it is stopped."""

from __future__ import annotations

import errno
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import uvicorn

from tastemaker.base import summary
from tastemaker.base.errors import Interrupted, UserError
from tastemaker.study.series import Series
from tastemaker.study.web.app import make_app
from tastemaker.study.web.settings import Settings

GRACE_SECONDS = 10
"""For requests that are being answered when the server is to stop."""
BACKLOG = 2048
EVERYWHERE = ("0.0.0.0", "::")
"""Hosts that stand for every address of the machine, and that nobody can open."""


def serve(series: Series, settings: Settings) -> None:
    """Print how the server is reached and run it; of a port 0 the system chooses a free one.

    Raises `Interrupted` on SIGINT and SIGTERM, after the requests at hand were answered and ``series`` was closed, and
    `UserError` when the port cannot be had.
    """
    with _listening(settings) as listener:
        port = listener.getsockname()[1]
        settings = replace(settings, port=port, admin_secret=settings.admin_secret or secrets.token_urlsafe(24))
        server = uvicorn.Server(_config(series, settings))
        with _interrupting():
            announce(settings)
            try:
                server.run([listener])
            finally:
                series.close()


def admin_link(settings: Settings) -> str:
    """The address that opens the pages for whoever runs the study."""
    return f"{settings.url}/admin?secret={settings.admin_secret}"


def announce(settings: Settings) -> None:
    """Print how raters and whoever runs the study come in."""
    joining = "by invitation" if settings.by_invitation else f"{settings.url}/join, with the passphrase"
    shown = {"address": settings.url, "people join": joining, "admin": admin_link(settings)}
    if settings.host in EVERYWHERE and not settings.public_url:
        shown["for others"] = "give --public-url, how they reach this machine: the links above work on it alone"
    summary.show(shown)
    sys.stdout.flush()


def _config(series: Series, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(series, settings),
        access_log=False,  # addresses of people are personal
        forwarded_allow_ips=settings.trusted_proxy,
        lifespan="off",
        log_level="warning",
        proxy_headers=bool(settings.trusted_proxy),
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """The address taken; raises `UserError` when it cannot be."""
    try:
        listener = _bound(settings)
    except (OSError, UnicodeError) as error:
        raise UserError(_reason(settings, error)) from None
    with listener:
        yield listener


def _bound(settings: Settings) -> socket.socket:
    family, kind, *_, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _reason(settings: Settings, error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"port {settings.port}: is in use; stop the program that uses it, or choose another --port"
    if number == errno.EACCES:
        return f"port {settings.port}: needs more rights than you have; choose a --port from 1024"
    return f"host {settings.host}: is no address of this machine; use --host 127.0.0.1, or 0.0.0.0"


@contextmanager
def _interrupting() -> Iterator[None]:
    """Turn a signal into `Interrupted`: uvicorn stops by itself and then raises the signal once more, for this."""

    def interrupt(signum: int, _: FrameType | None) -> None:
        raise Interrupted(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
