"""The demo in which a person clicks and a model learns: the real server, the real run, a simulated person over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.cli.scorers import build
from tastemaker.rollout.rounds import path_of, read_choices
from tastemaker.study.client import Client
from tastemaker.study.simulated import LazyLeft, Sent, answer_all
from tastemaker.world import feedback as demo


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def clicking(port: int, sent: list[Sent]) -> Iterator[None]:
    """Somebody who waits for the server and for the first round, and always takes the first image."""

    def click() -> None:
        client = Client(f"http://127.0.0.1:{port}", patience=200)
        client.join("/join", "Ada", "taste")
        sent.extend(answer_all(client, LazyLeft(), lambda *_: [0.0] * demo.IMAGES, patience=200))
        client.close()

    person = threading.Thread(target=click, daemon=True)
    person.start()
    yield
    person.join(60)
    assert not person.is_alive()


@pytest.mark.slow(minutes=1)
def test_clicks_become_choices_and_the_model_learns_from_them(tmp_path: Path) -> None:
    port, sent = free_port(), list[Sent]()
    how: dict[str, Any] = {"choices": 3, "rounds": 1, "passphrase": "taste"}
    with clicking(port, sent):
        done = demo.feedback(tmp_path, build, port=port, **how)
    assert (done["clicks"], done["steps"]) == (3, demo.SETTINGS["rounds.updates"])
    assert [one.answer for one in sent] == [0, 0, 0]
    choices = read_choices(path_of(tmp_path / "run", 0))
    assert len(choices) == 3 * (demo.IMAGES - 1)
    assert all(choice.label in ("a", "b") for choice in choices)
    with Image.open(tmp_path / "before-after.png") as picture:
        assert picture.width > picture.height
    assert (tmp_path / "report.html").is_file()
    with socket.socket() as listener:  # the server is gone
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    again = demo.feedback(tmp_path, build, port=free_port(), **how)
    assert again == done


def test_a_port_in_use_is_told_and_nothing_is_trained(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="ended before it was ready"):
            demo.feedback(tmp_path, build, port=taken.getsockname()[1], passphrase="taste")
    assert not (tmp_path / "run/rounds").exists()


def test_the_recipe_asks_for_one_click_a_caption(tmp_path: Path) -> None:
    from tastemaker.rollout.asking import Asked

    recipe = demo.recipe(tmp_path, choices=7, rounds=3, seed=5)
    assert (recipe.rounds.prompts, recipe.rounds.count, recipe.train.seed) == (7, 3, 5)
    assert isinstance(recipe.feedback, Asked)
    assert recipe.feedback.work(7, recipe.rollout.images)["tasks a round"] == 7
