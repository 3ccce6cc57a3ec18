"""The viewer's folder with hostile texts that is opened in Chromium, and what a page shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)"),
]
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
PROMPTS = [
    HOSTILE,
    "averyverylongwordwithoutanyspace" * 9,
    "שלום a red fox",
    *(f"a cat number {n}" for n in range(3, 40)),
]
MODELS = ("base", "tuned <b>", "third")
GROUPS = {"category": ["animals" if n % 4 else "" for n in range(40)], "style & art": [f"s{n % 2}" for n in range(40)]}
LEFT, RIGHT = (200, 0, 0), (0, 0, 200)
Open = Callable[..., Any]


def score(scorer: str, model: str, prompt: int, sample: int) -> float | None:
    """By `hps`: prompts 0–9 the tuned model loses, 10–19 ties (within ε 0.5), 20–38 it wins; 39 is unscored."""
    if model != "tuned <b>" or scorer != "hps@2.1":
        return 1.0 + sample
    change = -1 - prompt if prompt < 10 else 0.25 if prompt < 20 else float(prompt)
    return None if prompt == 39 else 1.0 + sample + change


def prompts(page: Any) -> list[int]:
    """Numbers of the prompts on the page, from 1."""
    return [int(text) for text in page.locator("article .number").all_text_contents()]


def status(page: Any) -> str:
    return str(page.locator("#status").inner_text())
