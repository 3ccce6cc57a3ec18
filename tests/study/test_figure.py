"""The picture of results: what stands where in it."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image as Pictures

from tastemaker.study.exclusion import Rules
from tastemaker.study.figure import AFTER, BEFORE, MOST, STYLE, agrees, draw, rates, write
from tastemaker.study.resample import Bootstrap
from tastemaker.study.results import Results, results
from tastemaker.study.vote import Image, Item, Vote

QUICK = Bootstrap(resamples=50)


def study(
    raters: int = 3, lazy: bool = False, categories: int = 1, models: tuple[str, str] = ("a", "b$_x$")
) -> Results:
    """All say that the second model is better; the lazy one always takes the left, which is the first model's."""
    pair = tuple(Image(f"s{model}", model) for model in models)
    items = [Item(id=n, kind="pair", prompt=f"p{n}", images=pair, category=f"c{n % categories}") for n in range(8)]
    votes = [
        Vote(f"r{r}", item.id, "preference", 1, 2.0, 1.0, shown=(item.id % 2, 1 - item.id % 2))
        for item in items
        for r in range(raters)
    ]
    votes += [Vote("lazy", item.id, "preference", 0, 2.0, 1.0, shown=(0, 1)) for item in items] * lazy
    return results(items, votes, Rules(one_side=0.9), least=2, bootstrap=QUICK)


def marks(found: Results, panel: int) -> list[tuple[float, float, str]]:
    """Value, height and colour of the dots of the first row."""
    with mpl.rc_context(STYLE):
        lines = draw(found).axes[panel].lines
    return [
        (*map(float, (line.get_xdata()[0], line.get_ydata()[0])), line.get_color())
        for line in lines
        if line.get_marker() == "o"
    ]


def test_without_exclusions_there_is_one_mark_a_line() -> None:
    """In all and in the only category nobody says a."""
    assert marks(study(), 0) == [(0.0, 0.0, AFTER), (0.0, 1.0, AFTER)]
    assert {colour for *_, colour in marks(study(), 1)} == {AFTER}


def test_before_and_after_exclusion_stand_side_by_side() -> None:
    """Raw agreement of three and one against: 3 of 6 pairs; of three alone: all."""
    raw = [mark for mark in marks(study(lazy=True), 1) if mark[1] > 1.5]
    assert [(value, colour) for value, _, colour in raw] == [(0.5, BEFORE), (1.0, AFTER)]
    assert raw[0][1] > raw[1][1]


def test_totals_come_first_then_categories() -> None:
    (one,) = study(categories=2).before
    assert [line.label for line in rates(one, None)] == [
        "a against b$_x$",
        "a against b$_x$, c0",
        "a against b$_x$, c1",
    ]
    assert [line.label for line in agrees(one, None)] == ["raw agreement", "Krippendorff's α", "Fleiss' κ"]
    assert MOST >= 20


def test_nobody_left_is_no_mark() -> None:
    found = study(raters=0, lazy=True)
    assert found.after == ()
    assert {colour for *_, colour in marks(found, 0)} == {AFTER}


@pytest.mark.parametrize("models", [("a", "b$_x$"), ("", ""), ("模型", "m" * 300)])
def test_it_is_written_whatever_the_models_are_called(tmp_path: Path, models: tuple[str, str]) -> None:
    for name in ("one", "two"):
        write(tmp_path / f"{name}.png", study(lazy=True, models=models))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Pictures.open(tmp_path / "one.png") as picture:
        assert 1000 < picture.width < 1500
        assert picture.height < 1000


def test_there_is_a_picture_of_no_measured_vote(tmp_path: Path) -> None:
    item = Item(id=0, kind="pair", prompt="p", images=(Image("x"), Image("y")), gold=0)
    write(tmp_path / "a.png", results([item], [Vote("r", 0, "preference", 0, 1.0, 1.0)], bootstrap=QUICK))
    assert (tmp_path / "a.png").stat().st_size > 500
