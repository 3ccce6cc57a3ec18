"""A small heat map, and the scores of its cells by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.grid import Grid
from tastemaker.reproduce.runs import Shop

DPO, IPO, DDE = Arm("world"), Arm("world", loss="ipo"), Arm("world", credit="dde")
DRAWN = Arm("world", Pairs("random", share=0.3))
CELLS = {
    ("all", "dpo", "uniform"): DPO,
    ("all", "ipo", "uniform"): IPO,
    ("all", "dpo", "dde"): DDE,
    ("random", "dpo", "uniform"): DRAWN,
}
SMALL = Grid("grid", "ours", "All of it", "world", ("all", "random"), ("dpo", "ipo"), ("uniform", "dde"), CELLS)
PROMPTS = 6


def shop_with_base(folder: Path) -> Shop:
    """The base has 0, 1, 2 … on its prompts."""
    made = by_hand(folder, PROMPTS)
    write_base(made, {"utility": list(range(PROMPTS)), "correct": [0] * PROMPTS})
    return made


def write(shop: Shop, arm: Arm, gain: float, seeds: int, spread: float = 0.1) -> None:
    """Utility ``gain`` above the base in the mean: seeds go up and down in turn, and so do prompts."""
    for seed in range(seeds):
        shift = spread * (seed - (seeds - 1) / 2)
        scores = [prompt + gain + shift + 0.1 * (-1) ** prompt for prompt in range(PROMPTS)]
        write_arm(shop, arm, seed, {"utility": scores, "correct": [0] * PROMPTS})


def write_gains(shop: Shop, arm: Arm, gains: Mapping[int, float] | Sequence[float]) -> None:
    """Utility so far above the base on every prompt, by seed."""
    for seed, gain in dict(gains if isinstance(gains, Mapping) else enumerate(gains)).items():
        write_arm(shop, arm, seed, {"utility": [prompt + gain for prompt in range(PROMPTS)], "correct": [0] * PROMPTS})
