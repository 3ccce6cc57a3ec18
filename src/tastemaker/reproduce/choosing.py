"""What is chosen on the tune prompts: strength and rate of a method, and the checkpoint of a run that is reported.

Strength and rate are found on all pairs, once for each loss and weight; QSD's pairs, the random subset, other steps and
other LoRA ranks take the same, so that between them one thing differs. It favours the baseline, if anyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.profile import Profile, Settings

if TYPE_CHECKING:
    from tastemaker.reproduce.runs import Shop

SCORES, CHOSEN = "scores.json", "chosen.json"
SAME_SCALE = {"single-shot": "dde-single", "discounted": "discounted", "min-snr": "min-snr"}
"""The credit that stands for all with this weight."""


def settled_by(arm: Arm) -> Arm:
    """The arm by which the settings of ``arm`` are found."""
    credit = SAME_SCALE.get(arm.scale[1], "uniform")
    return replace(arm, pairs=Pairs(), credit=credit, rank=None, last=False)


def trials(profile: Profile, arm: Arm) -> list[Settings | None]:
    """What is tried in order; None stands for the best of the others at the faster rate."""
    found: list[Settings | None] = list(profile.candidates(arm))
    rates = {settings["lr"] for settings in found if settings}
    return [*found, None] if profile.faster is not None and len(rates) == 1 else found


def tune(shop: Shop, arm: Arm, place: Path) -> None:
    """Write the settings with the best mean on the tune prompts to ``place``; of equal ones the first."""
    found: list[tuple[float, Settings]] = []
    tried = trials(shop.profile, arm)
    if len(tried) == 1:
        return write_json(place, dict(tried[0] or {}))
    for settings in tried:
        settings = settings or {**_best(found), "lr": shop.profile.faster or 0.0}
        found.append((trial(shop, arm, settings), settings))
    return write_json(place, dict(_best(found)))


def trial(shop: Shop, arm: Arm, settings: Settings) -> float:
    """The mean of the judge that chooses at the end of a run with ``settings``."""
    from tastemaker.train.training import train

    words = "-".join(f"{name}={value:g}" for name, value in settings.items())
    place = shop.out / "trials" / arm.name / words
    if not (place / SCORES).is_file():
        train(shop.recipe(arm, 0, settings, place / "run"))
        shop.judge(arm.model, place / "run", place / "images", shop.profile.tune(), place / SCORES)
    return _mean(read_json(place / SCORES)[shop.profile.chosen_by])


def choose(shop: Shop, arm: Arm, place: Path) -> Path:
    """The checkpoint with the best mean on the tune prompts; of equal ones the earliest."""
    found: dict[int, float] = {}
    there = dict(checkpoints(place / "run"))
    for step, adapter in there.items():
        at = place / "tune" / f"step-{step:06d}"
        if not (at / SCORES).is_file():
            shop.judge(arm.model, adapter, at / "images", shop.profile.tune(), at / SCORES)
        found[step] = _mean(read_json(at / SCORES)[shop.profile.chosen_by])
    best = max(found, key=lambda step: (found[step], -step))
    write_json(place / CHOSEN, {"step": best, "tune": {str(step): mean for step, mean in found.items()}})
    return there[best]


def checkpoints(run: Path) -> list[tuple[int, Path]]:
    """Step and folder of every checkpoint of a run, the last one last."""
    found = sorted((run / "checkpoints").glob("step-*"))
    return [(int(path.name.removeprefix("step-")), path) for path in found if not path.name.endswith("-000000")]


def _best(found: Sequence[tuple[float, Settings]]) -> Settings:
    return max(found, key=lambda each: each[0])[1]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
