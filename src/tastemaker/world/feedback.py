"""`make feedback-demo`: someone clicks choices in a browser, the small world's model learns from them and draws again.

OUT/run                    a run of `tastemaker d3po`; every round in it is a small study
OUT/before, OUT/after      held-out captions from the same noise
OUT/before-after.png, OUT/report.html
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, write_text
from tastemaker.world.assets import BASE_MODEL, D3PO

if TYPE_CHECKING:
    from tastemaker.rollout.rounds import Build
    from tastemaker.train.recipe import D3po

CAPTIONS, SHOWN, STEPS = 400, 12, 20
IMAGES = 4
"""Images of a caption: one click on the best of four is three comparisons."""
SETTINGS: dict[str, Any] = {
    "rollout.images": IMAGES,
    "rounds.pairs": "all",
    "rounds.updates": 24,
    "rounds.watch": ["world-utility"],
    "train.batch_size": 10,
    "train.lr": 6e-4,
    "train.min_lr": 6e-4,
    "train.ema": 0.9,
}
"""What the recipe of 20 long rounds becomes where a person has a few minutes: more from less, and less surely."""
TITLE = "Teach a small model what you like"
CONSENT = (
    "You see a caption and four pictures that a small model drew for it. Click the best one, whatever best is for you. "
    "After each round the model learns from your clicks and draws again. Everything stays on this machine."
)
READY_SECONDS = 60.0


def feedback(
    out: Path, build: Build, *, choices: int = 20, rounds: int = 2, seed: int = 0, port: int = 8000, passphrase: str
) -> dict[str, Any]:
    """Serve the pages, ask for ``choices`` clicks a round, train on them, and show what the model draws now.

    A stopped demo goes on where it was when it is started again. Raises `UserError` when the port is taken, and where
    there is nothing to click.
    """
    from tastemaker.train.d3po import d3po

    for option, value in (("--choices", choices), ("--rounds", rounds)):
        if value < 1:
            raise UserError(f"{option} {value}: must be at least 1")
    asked = recipe(out, choices, rounds, seed)
    _prepare(out, asked)
    with serving(Path(asked.out), port, passphrase):
        trained = d3po(asked, build)
        compared = compare(out)
        wait_for_enter()
    return {"rounds": rounds, "clicks": rounds * choices, "steps": trained["steps"], **compared}


def recipe(out: Path, choices: int, rounds: int, seed: int) -> D3po:
    """The world's D3PO recipe for a person in a hurry."""
    from tastemaker.base.config import read_yaml
    from tastemaker.train.recipe import D3po

    tree = read_yaml(D3PO)
    person = {"kind": "study", "task": "best", "raters": 1, "title": TITLE, "consent": CONSENT}
    changes = {**SETTINGS, "rounds.count": rounds, "rounds.prompts": choices, "train.seed": seed}
    for name, value in changes.items():
        section, _, field = name.partition(".")
        tree[section] = {**tree[section], field: value}
    tree["rollout"]["prompts"] = str(out / "prompts.txt")
    return D3po.model_validate(tree | {"model": str(BASE_MODEL), "out": str(out / "run"), "feedback": person})


@contextmanager
def serving(run: Path, port: int, passphrase: str) -> Iterator[None]:
    """`tastemaker study serve` on ``run`` in a process of its own, ready when the block begins and ended after it."""
    words = [sys.executable, "-m", "tastemaker.cli.app", "study", "serve", str(run), "--port", str(port)]
    server = subprocess.Popen(words, env=os.environ | {"TASTEMAKER_PASSPHRASE": passphrase})
    try:
        _await(server, f"http://127.0.0.1:{port}/healthz")
        yield
    finally:
        server.kill()  # every vote is on disk, and its line about being stopped would look like an error here
        server.wait()


def compare(out: Path) -> dict[str, Any]:
    """Draw held-out captions from the same noise by the base and by the trained model, and write the report."""
    from tastemaker.evaluate.contact_sheet import grid
    from tastemaker.evaluate.generating import generate
    from tastemaker.evaluate.images import first_samples
    from tastemaker.report.reporting import report

    texts, folders = _captions("test", SHOWN), [out / "before", out / "after"]
    for folder, adapter in zip(folders, [None, out / "run"], strict=True):
        generate(BASE_MODEL, texts, folder, adapter=adapter, steps=STEPS, guidance=1.0)
    rows = [first_samples(folder, range(len(texts))) for folder in folders]
    picture = out / "before-after.png"
    with atomic_file(picture) as temporary:
        pictures = [row[number][1] for row in rows for number in sorted(row)]
        grid(pictures, columns=len(texts)).save(temporary, format="png")
    report(out / "report.html", runs=[out / "run"], images=folders)
    return {"before (top) and after": picture, "report": out / "report.html"}


def wait_for_enter() -> None:
    """Keep the pages open for a person at a terminal."""
    if sys.stdin.isatty():
        input("The model has learned. Press Enter to stop the server. ")


def _prepare(out: Path, asked: D3po) -> None:
    """Captions, and a run's folder that can be served before its first round is drawn."""
    from tastemaker.base.config import write_yaml
    from tastemaker.train.recipe import NAME

    if not (out / "prompts.txt").is_file():
        write_text(out / "prompts.txt", "\n".join(_captions("train", CAPTIONS)) + "\n")
    if not (path := Path(asked.out) / NAME).is_file():
        write_yaml(path, asked)


def _captions(split: Literal["train", "test"], count: int) -> list[str]:
    from tastemaker.world import captions

    return [captions.caption(scene) for scene in captions.draw(split, count, 0)]


def _await(server: subprocess.Popen[bytes], url: str) -> None:
    """Until the server answers. Raises `UserError` when it ends, or takes too long."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise UserError("the server ended before it was ready; its message stands above this line")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise UserError(f"{url}: no answer within {READY_SECONDS:.0f} seconds; start the demo again")
