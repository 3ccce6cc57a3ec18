"""Where −log σ(z) learns no more: z of one fixed set of pairs at every checkpoint (DDE, arXiv 2411.14871).

    z = β m / 2,   a pair is saturated where its share of the gradient σ(−z) < 0.05, that is z > 2.94

A run logs the mean margin alone, so the margins are found again of visits: pairs drawn from the set that the run reads
from, each once, with steps t and noise as training draws them (t by the method's own rule) but by a key that training
never uses. Pairs, t and noise are the same for all seeds and checkpoints of an arm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import read_json, write_json
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import checkpoints
from tastemaker.reproduce.exhibit import OfArms
from tastemaker.reproduce.output import finite, save
from tastemaker.reproduce.results import MOST_SEEDS, Results, alike, share
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import interval, rows_of

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from tastemaker.train.run import Task

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEAST = 0.05
"""Of the gradient's share σ(−z)."""
VISITS = 512
SEED, VISIT = 0x5A7, 1 << 20
"""Of the draws: no training has this visit."""
TENTHS = 10
ABOUT = (
    f"z = β m / 2; saturated: σ(−z) < {LEAST}. A visit is a pair of the set that the run reads from, {VISITS} drawn "
    "(or all, where there are fewer), each once, with one step drawn by the method's own rule and one noise, the same "
    "for every seed and checkpoint; so it says nothing of new pairs. Intervals are over seeds and visits. Left: all "
    "seeds together at the last checkpoint; right: the saturated share in each tenth of the steps, without intervals."
)


@dataclass(frozen=True)
class Saturation(OfArms):
    """Share of saturated visits at each checkpoint, and z at the last one (`exhibit.Exhibit`)."""

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """Every arm's margins."""
        yield from (margins(shop, arm, seed) for seed in seeds for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """The picture and the table behind it."""
        found, left = self._found(results.shop)
        if not found:
            return ""
        draw(found, folder / f"{self.key}.png")
        write_json(folder / f"{self.key}.json", {label: _figures(outs) for label, outs in found.items()})
        picture = f"![Distribution of z, and saturated share by step]({self.key}.png)"
        return "\n".join([f"### {self.title}", "", picture, "", ABOUT, "", *rows_of(list(_rows(found))), "", *left, ""])

    def _found(self, shop: Shop) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
        """By label what its seeds with the same checkpoints have, and lines that name the other seeds."""
        found, left = {}, []
        for label, arm in self.named.items():
            outs = finished(shop, arm)
            seeds, others = alike({seed: tuple(sorted(out["at"])) for seed, out in outs.items()})
            if seeds:
                found[label] = [outs[seed] for seed in seeds]
            left += [f"- {label}: left out for other checkpoints than most: seed {seed}" for seed in others]
        return found, left


def margins(shop: Shop, arm: Arm, seed: int) -> Stage:
    """z and t of the fixed visits at every checkpoint of a run, by step."""
    run, out = shop.trained(arm, seed), shop.place(arm, seed) / "saturation.json"
    seconds = VISITS * shop.profile.checkpoints * shop.profile.models[arm.model].speed.pair

    def measure() -> None:
        write_json(out, _measure(shop.place(arm, seed) / "run"))

    return Stage(f"saturation {arm.name} seed {seed}", "margins", out, measure, seconds, (run,))


def finished(shop: Shop, arm: Arm) -> dict[int, dict[str, Any]]:
    """What the stages of an arm found, by seed."""
    outs = {seed: shop.place(arm, seed) / "saturation.json" for seed in range(MOST_SEEDS)}
    return {seed: read_json(out) for seed, out in outs.items() if out.exists()}


def saturated(z: Floats) -> Floats:
    """1 where σ(−z) < `LEAST`, else 0."""
    found: Floats = (z > math.log(1 / LEAST - 1)).astype(float)
    return found


def by_tenth(t: Floats, hit: Floats, steps: int) -> list[float]:
    """Mean of ``hit`` in each tenth of the steps; NaN where no visit falls."""
    place = (t * TENTHS // steps).astype(int)
    return [float(hit[place == tenth].mean()) if (place == tenth).any() else math.nan for tenth in range(TENTHS)]


def _measure(run: Path) -> dict[str, Any]:
    from tastemaker.train import inputs
    from tastemaker.train.ranks import Ranks
    from tastemaker.train.recipe import NAME, Recipe, read_any
    from tastemaker.train.training import prepare

    recipe = read_any(run / NAME)
    assert isinstance(recipe, Recipe), f"{run} is trained on pairs"
    index = inputs.cache_index(Path(recipe.data.cache))
    task = prepare(recipe, run, "", index, Ranks(), recipe.train.device)
    at = {str(step): _at(task, place) for step, place in checkpoints(run)}
    return {"steps": task.backbone.schedule.steps, "at": at}


def _at(task: Task, place: Path) -> dict[str, list[float]]:
    """z and t with the weights and the memory of the checkpoint ``place``."""
    import torch
    from safetensors.torch import load_file

    from tastemaker.method.memory import Memory
    from tastemaker.train.denoising import denoise

    method, backbone = task.recipe.method, task.backbone
    memory = Memory(method, backbone.schedule, backbone.head, backbone.device)
    memory.load(load_file(place / "memory.safetensors"))
    weights = load_file(place / "weights.safetensors")
    found: dict[str, list[float]] = {"z": [], "t": []}
    with torch.no_grad():
        for name, parameter in task.trainable.parameters.items():
            parameter.copy_(weights[name])
        for batch in _batches(task):
            seen = denoise(backbone, task.trainable, batch, method, memory, SEED)
            z = getattr(method.link, "beta", math.nan) / 2 * seen.evidence.margin
            found["z"] += z.tolist()
            found["t"] += seen.t.tolist()
    return found


def _batches(task: Task) -> Iterator[Any]:
    from tastemaker.base.draw import key_bits
    from tastemaker.rank.pairs import read_pairs
    from tastemaker.train.offline import Offline
    from tastemaker.train.order import Micro
    from tastemaker.train.recipe import Recipe

    assert isinstance(task.recipe, Recipe)
    assert isinstance(task.source, Offline)
    pairs = [pair for source in task.recipe.data.sources for pair in read_pairs(Path(source.pairs))]
    chosen = sorted(pairs, key=lambda pair: key_bits("saturation", pair.pair_id))[:VISITS]
    size = task.recipe.train.batch_size
    for first in range(0, len(chosen), size):
        some = chosen[first : first + size]
        yield from task.source.batches(Micro(some, [VISIT] * len(some)))


def _z(outs: Sequence[dict[str, Any]], step: str) -> Floats:
    """[seeds, visits]."""
    import numpy as np

    return np.array([out["at"][step]["z"] for out in outs], np.float64)


def _last(outs: Sequence[dict[str, Any]]) -> str:
    return max(outs[0]["at"], key=int)


def _rows(found: dict[str, list[dict[str, Any]]]) -> Iterator[list[str]]:
    import numpy as np

    yield ["", "step", "seeds", "share saturated (95 % over seeds and visits)", "z: 5 %", "median", "95 %"]
    for label, outs in found.items():
        for step in sorted(outs[0]["at"], key=int):
            z = _z(outs, step)
            spread = [f"{value:.3g}" for value in np.quantile(z, [0.05, 0.5, 0.95])]
            yield [label, step, str(len(outs)), interval(share(saturated(z)), ".3f"), *spread]


def _figures(outs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import numpy as np

    last = _last(outs)
    t, z = np.array([out["at"][last]["t"] for out in outs]), _z(outs, last)
    tenths = by_tenth(t.ravel(), saturated(z).ravel(), outs[0]["steps"])
    shares = {step: finite(asdict(share(saturated(_z(outs, step))))) for step in outs[0]["at"]}
    return {
        "seeds": len(outs),
        "saturated": shares,
        "by tenth of t": [None if math.isnan(share) else share for share in tenths],
        "z": z.tolist(),
    }


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Histograms of z at the last checkpoint, and the saturated share against t."""
    import numpy as np
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(9, 3.2), layout="constrained", dpi=110)
    left, right = canvas.subplots(1, 2)
    pooled = {label: _z(outs, _last(outs)).ravel() for label, outs in found.items()}
    low, high = np.quantile(np.concatenate(list(pooled.values())), [0.01, 0.99]).tolist()
    edges = np.linspace(low, high, 40).tolist()
    for label, outs in found.items():
        last = _last(outs)
        left.hist(np.clip(pooled[label], low, high).tolist(), bins=edges, histtype="step", label=label)
        t = np.array([out["at"][last]["t"] for out in outs]).ravel()
        shares = by_tenth(t, saturated(pooled[label]), outs[0]["steps"])
        right.plot((np.arange(TENTHS) + 0.5) / TENTHS, shares, marker="o", label=label)
    _dress(left, right)
    save(canvas, path)


def _dress(left: Axes, right: Axes) -> None:
    left.axvline(math.log(1 / LEAST - 1), color="#8a8a8a", linewidth=0.8)
    left.set(xlabel="z (the outermost 1 % at the edges)", ylabel="visits")
    right.set(xlabel="t / T", ylabel="share saturated", ylim=(0, None))
    left.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.3)
