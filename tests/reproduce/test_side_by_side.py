"""Side by side: the same prompts in a row, drawn by chance, of a seed that all arms have."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from support.painted import PROMPTS, painted
from support.reproduced import by_hand, write_arm, write_base
from tastemaker.reproduce import side_by_side
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.side_by_side import SideBySide

DPO, DDE = Arm("world"), Arm("world", credit="dde")
EXHIBIT = SideBySide("figure", "qsd", "Side by side", "world", (DPO, DDE), ("DPO", "DDE"))
SCORES = {"utility": [0.5] * 4, "correct": [1.0] * 4}
SIDE, GAP, ASIDE = 96, 4, 176


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Seed 0 of DPO alone, seeds 1 and 2 of both; red says model and prompt, and a second sample is not shown."""
    made = by_hand(tmp_path, prompts=len(PROMPTS))
    write_base(made, SCORES)
    painted(made.base("world").out.parent / "images", reds(0))
    for arm, seed in ((DPO, 0), (DPO, 1), (DDE, 1), (DPO, 2), (DDE, 2)):
        write_arm(made, arm, seed, SCORES)
        painted(made.place(arm, seed) / "images", reds(10 * seed + (100 if arm == DDE else 50)))
    return made


def reds(first: int) -> list[int]:
    return [first + prompt if sample == 0 else 255 for prompt in range(len(PROMPTS)) for sample in range(2)]


def shown(sheet: Path, rows: int) -> list[list[int]]:
    image = Image.open(sheet)
    top = image.height - rows * (SIDE + GAP) - GAP
    at = [[(ASIDE + GAP + SIDE // 2 + c * 100, top + GAP + SIDE // 2 + r * 100) for c in range(3)] for r in range(rows)]
    return [[image.getpixel(place)[0] for place in row] for row in at]


def test_a_row_is_a_prompt_and_a_column_a_model(shop: Shop, tmp_path: Path) -> None:
    text = EXHIBIT.write(Results(shop), tmp_path)
    assert shown(tmp_path / "figure.png", 4) == [[prompt, 60 + prompt, 110 + prompt] for prompt in range(4)]
    assert "training seed 1." in text, "the lowest that both have"
    assert "![base, DPO, DDE](figure.png)" in text


def test_some_prompts_are_drawn_and_not_the_first(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "PROMPTS", 2)
    chosen = side_by_side.drawn(4)
    EXHIBIT.write(Results(shop), tmp_path)
    assert shown(tmp_path / "figure.png", 2) == [[prompt, 60 + prompt, 110 + prompt] for prompt in chosen]
    assert side_by_side.drawn(200) != [0, 1]
    assert side_by_side.drawn(200) == side_by_side.drawn(200)


def test_nothing_before_all_have_a_seed(shop: Shop, tmp_path: Path) -> None:
    other = SideBySide("figure", "qsd", "Side by side", "world", (DPO, Arm("world", loss="ipo")), ("DPO", "IPO"))
    assert other.write(Results(shop), tmp_path) == ""
    assert not (tmp_path / "figure.png").exists()
