"""An online run of two rounds, and the viewer in a headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.rounds_example import write_online
from support.viewer_browsing import CHROMIUM, GROUPS, LEFT, MODELS, PROMPTS, RIGHT, Open, score
from support.viewer_example import plain, write_evaluation, write_images
from tastemaker.report.viewer.writing import view


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_online(tmp_path_factory.mktemp("runs") / "two rounds")


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a viewer of 40 prompts × 3 models × 2 samples with hostile texts."""
    folder = tmp_path_factory.mktemp("viewer")
    colours = (LEFT, RIGHT, (0, 150, 0))
    images = [
        write_images(
            folder / name, PROMPTS, lambda n, k, colour=colour: plain((*colour[:2], colour[2] + n + k), 64), 2, GROUPS
        )
        for name, colour in zip(("base", "tuned", "third"), colours, strict=True)
    ]
    epsilon = {"hps@2.1": 0.5, "trained@1": 0.0}
    made = write_evaluation(folder / "eval", MODELS, len(PROMPTS), 2, epsilon, score)
    view(images, folder / "a folder", evaluation=made)
    return f"file://{folder}/a%20folder/index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, page_of: str) -> Iterator[Open]:
    """Opens the viewer at an address hash; fails the test when the page logs anything or asks for another place."""
    contexts, said = [], []

    def start(hash: str = "", width: int = 1280, height: int = 900, address: str = page_of, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if "file://" not in request.url[:7] else None)
        page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
        page.goto(address + hash)
        return page

    yield start
    for context in contexts:
        context.close()
    assert [line for line in said if not line.startswith("data:,")] == []
