"""Real studies and the real app for the tests of `tastemaker.study.web`."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image as Pixels

from tastemaker.base import draw
from tastemaker.base.files import sha256_bytes
from tastemaker.study import raters
from tastemaker.study.build import Source, Task, create
from tastemaker.study.db import Store
from tastemaker.study.design import Plan
from tastemaker.study.series import Series, open_series
from tastemaker.study.vote import Image
from tastemaker.study.web.app import make_app
from tastemaker.study.web.settings import Settings

SECRET = "the admin's secret"
MODELS = ("model-zebra", "model-okapi", "model-tapir", "model-quagga")
PROMPT = "a red square, number"


def png(*key: object, size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    """A picture drawn by ``key``, encoded as PNG unless ``format`` says otherwise."""
    width, height = size
    pixels = draw.numbers(0, "tests", "picture", *map(str, key)).integers(0, 256, width * height * 3, "uint8")
    written = io.BytesIO()
    Pixels.frombytes("RGB", size, pixels.tobytes()).save(written, **{"format": "PNG"} | options)
    return written.getvalue()


def source(tasks: int, images: int = 2, prompt: str = PROMPT) -> Source:
    pngs = [[png(task, place) for place in range(images)] for task in range(tasks)]
    return of([(f"{prompt} {task}", row) for task, row in enumerate(pngs)])


def of(rows: Sequence[tuple[str, Sequence[bytes]]]) -> Source:
    """The tasks with these prompts and encoded images."""
    tasks = [
        Task(prompt, tuple(Image(sha256_bytes(data), model) for data, model in zip(row, MODELS, strict=False)))
        for prompt, row in rows
    ]
    return Source(tasks, lambda: (data for _, row in rows for data in row))


def study(folder: Path, tasks: int = 3, images: int = 2, **plan: Any) -> Series:
    """The series of a study with ``tasks`` of ``images`` each."""
    create(folder, Plan(**{"title": "A study of squares", "raters_per_item": 2} | plan), source(tasks, images))
    return open_series(folder)


def client(series: Series, **settings: Any) -> TestClient:
    """A browser without any cookie yet; it does not follow redirects."""
    app = make_app(series, Settings(**{"admin_secret": SECRET} | settings))
    return TestClient(app, follow_redirects=False, raise_server_exceptions=False)


def another(browser: TestClient) -> TestClient:
    """Another person's browser."""
    return TestClient(browser.app, follow_redirects=False, raise_server_exceptions=False)


def current(series: Series) -> Store:
    store = series.current()
    assert store is not None
    return store


def invited(browser: TestClient, series: Series, name: str = "Ada") -> TestClient:
    """``browser`` after its owner has come in by a new invitation."""
    path = f"/join/{raters.invite(current(series))}"
    assert browser.post(path, data=form(browser.get(path).text, name=name, agree="yes")).status_code == 303
    return browser


def form(page: str, **fields: str) -> dict[str, str]:
    """What is sent with a form on ``page``: its first token, and ``fields``."""
    return {"csrf": found(r'name="csrf" value="([^"]*)"', page)} | fields


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in {text}"
    return html.unescape(match[1])


def token(browser: TestClient) -> dict[str, str]:
    """The header that the page's script sends."""
    return {"X-CSRF-Token": found(r'name="csrf-token" content="([^"]*)"', browser.get("/task").text)}


def post(browser: TestClient, path: str, **body: Any) -> Any:
    return browser.post(path, json=body, headers=token(browser))


def vote(browser: TestClient, view: dict[str, Any], answer: Any = 0, key: str = "", **fields: Any) -> Any:
    """The answer to a vote on every question of ``view``."""
    answers = {question["name"]: answer for question in view["questions"]}
    body = {"token": view["token"], "answers": answers, "seconds": 2.0, "key": key or view["token"]}
    return post(browser, "/api/vote", **body | fields)
