"""What a GPU does in a second: training, sampling and D3PO at the published sizes, with random weights.

    python benchmarks/gpu/measure.py --out out/gpu --models sd15 sdxl

Everything a user would do runs as the user would do it: a model folder, import, score, rank, encode, the recipes of
`recipes/`. Figures go to OUT/figures.json after every part, so that a killed run leaves what it had. ``--models tiny``
tries the script out on any machine.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import models
import pairs
import torch
from kernels import kernels
from steps import Bench, bench

from tastemaker.base.files import read_json, write_json
from tastemaker.cli.scorers import build
from tastemaker.evaluate.generating import generate
from tastemaker.reproduce.sizes import SIZES
from tastemaker.train.d3po import d3po
from tastemaker.train.recipe import D3po, Recipe, read_recipe
from tastemaker.train.training import train

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
Figures = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How much of each part is enough for a figure: pairs of a step, steps, prompts."""

    family: str
    micro: int
    accumulate: int
    steps: int
    times: int
    drawn: int
    sampled: int


PLANS = {
    "sd15": Plan("sd15", 8, 8, 4, 5, 16, 4),
    "sdxl": Plan("sdxl", 2, 8, 3, 5, 4, 0),
    "tiny": Plan("sd15", 2, 4, 3, 2, 2, 1),
}


@dataclass(frozen=True)
class Place:
    """A model's folder of work."""

    name: str
    out: Path

    @property
    def plan(self) -> Plan:
        return PLANS[self.name]

    @property
    def model(self) -> Path:
        return self.out / "model"

    def recipe(self, file: str, out: str, *more: str) -> Recipe:
        plan = self.plan
        overrides = [
            *("--model", str(self.model), "--out", str(self.out / out), "--train.sample_every", "0"),
            *("--data.pairs", str(self.out / "pairs"), "--data.cache", str(self.out / "cache")),
            *("--data.max_pairs", str(plan.micro * plan.accumulate * plan.steps), "--data.epochs", "100"),
            *("--train.batch_size", str(plan.micro), "--train.accumulate", str(plan.accumulate)),
            *("--train.checkpoint_every", "0"),
        ]
        return read_recipe(RECIPES / self.plan.family / file, [*overrides, *more])


def prepared(place: Place) -> Figures:
    """The model's folder, pairs and cache."""
    shutil.rmtree(place.out, ignore_errors=True)
    models.save(place.name, place.model, torch.bfloat16 if torch.cuda.is_available() else torch.float32)
    plan = place.plan
    return pairs.prepare(place.model, place.out, plan.micro * plan.accumulate, models.SHAPES[place.name].side)


def trained(place: Place, *more: str) -> Figures:
    """Pairs/s of `tastemaker train` by its own timing.jsonl, without the first step, which also warms the card up."""
    recipe = place.recipe("qsd-dpo.yaml", "run" + "-".join(more).replace("--", ""), *_here(), *more)
    train(recipe)
    lines = [json.loads(line) for line in (Path(recipe.out) / "timing.jsonl").read_text().splitlines()][1:]
    rate = sum(line["pairs_per_second"] * line["seconds"] for line in lines) / sum(line["seconds"] for line in lines)
    return {"pairs per second": rate, **_peak(), **_utilisation(place, rate)}


def at_once(place: Place, many: int) -> tuple[str, ...]:
    """As many pairs a step in fewer micro-batches."""
    micro, accumulate = place.plan.micro * many, place.plan.accumulate // many
    return ("--train.batch_size", str(micro), "--train.accumulate", str(accumulate))


def on_bench(place: Place, *more: str) -> Bench:
    """The model and its adapter, with a micro-batch."""
    recipe = place.recipe("qsd-dpo.yaml", "bench", *_here(), *more)
    return bench(recipe, read_json(place.out / "cache" / "cache.json"))


def stepped(place: Place, *more: str) -> Figures:
    """Pairs/s of a micro-step, of its floor, and of the peers' order on the same model, in turns, the best of each."""
    on, times = on_bench(place, *more), place.plan.times
    works = {"ours": on.ours, "floor": on.floor(), "peers": on.peers(models.SHAPES[place.name].side)}
    rounds = [{name: on.rate(work, times) for name, work in works.items()} for _ in range(2)]
    found = {name: max(each[name] for each in rounds) for name in works}
    return found | {"of the floor": found["ours"] / found["floor"], "of the peers": found["ours"] / found["peers"]}


def varied(place: Place, *more: str) -> Figures:
    """Pairs/s and peak memory with more pairs at once, with TF32, and with weights in the convolutions' own layout."""
    on, times = on_bench(place, *more), place.plan.times
    found = {}
    for many in (1, 2, 4):
        found |= {f"{many * on.micro} pairs: {name}": value for name, value in _if_it_fits(on, many).items()}
    torch.backends.cuda.matmul.allow_tf32 = True
    found["TF32"] = on.rate(on.ours, times)
    torch.backends.cuda.matmul.allow_tf32 = False
    on.task.backbone.denoiser.to(memory_format=torch.channels_last)
    found |= {f"channels last, {name}": value for name, value in _if_it_fits(on, 1).items()}
    return found | {f"channels last, 4 times, {name}": value for name, value in _if_it_fits(on, 4).items()}


def _if_it_fits(on: Bench, many: int) -> Figures:
    """Of a micro-step with ``many`` times the pairs."""
    larger = replace(on, micro=many * on.micro)
    _reset()
    try:
        return {"per second": larger.rate(larger.ours, 4), **_peak()}
    except torch.OutOfMemoryError:
        return {"per second": 0.0}


def profiled(place: Place, *more: str) -> Figures:
    """One micro-step by kinds of kernels."""
    return kernels(on_bench(place, *more).ours) if torch.cuda.is_available() else {}


def full(place: Place) -> Figures:
    """A micro-step of DDE's training of all weights, in float32 as the recipe says, without and with TF32."""
    recipe = place.recipe("dde.yaml", "full", "--train.device", "auto")
    on = bench(recipe, read_json(place.out / "cache" / "cache.json"))
    found = {"float32": on.rate(on.ours, 2)}
    torch.backends.cuda.matmul.allow_tf32 = True
    found["TF32"] = on.rate(on.ours, 4)
    torch.backends.cuda.matmul.allow_tf32 = False
    return found


def drawn(place: Place) -> Figures:
    """Images/s of `tastemaker generate`, 50 steps with guidance 7.5, loading left in."""
    prompts = [f"a picture of thing {number}" for number in range(place.plan.drawn)]
    dtype = "bfloat16" if torch.cuda.is_available() else "float32"
    summary = generate(place.model, prompts, place.out / "images", batch_size=16, dtype=dtype)
    return {"images per second": len(prompts) / float(summary["seconds"]), **_peak()}


def rounds(place: Place) -> Figures:
    """A round of D3PO: images/s of its walks, pairs/s of its updates with every step of a pair."""
    prompts = place.out / "prompts.txt"
    prompts.write_text("".join(f"thing {number}\n" for number in range(place.plan.sampled)))
    overrides = [
        *("--model", str(place.model), "--out", str(place.out / "d3po"), "--rollout.prompts", str(prompts)),
        *("--rounds.count", "1", "--rounds.prompts", str(place.plan.sampled), "--rounds.updates", "8"),
        *("--train.sample_every", "0", "--rollout.prompts_at_once", "4", *_here()),
    ]
    recipe = read_recipe(RECIPES / place.plan.family / "d3po-compressibility.yaml", overrides, kind=D3po)
    began = time.perf_counter()
    d3po(recipe, build)
    took = time.perf_counter() - began
    lines = [json.loads(line) for line in (place.out / "d3po" / "timing.jsonl").read_text().splitlines()]
    rates = [line["pairs_per_second"] for line in lines if "pairs_per_second" in line][1:]
    return {"seconds in all": took, "pairs per second": sum(rates) / max(1, len(rates)), **_peak()}


def parts(place: Place) -> Iterator[tuple[str, Callable[[], Figures]]]:
    """What is measured, in order; what matters most comes first."""
    yield "prepare", lambda: prepared(place)
    if place.plan.family == "sdxl":
        without = ("--train.gradient_checkpointing", "false")
        yield "step", lambda: stepped(place, *without)
        yield "kernels", lambda: profiled(place, *without)
        yield "variants", lambda: varied(place, *without)
        yield "train", lambda: trained(place, *without)
        yield "train, 4 times the pairs at once", lambda: trained(place, *without, *at_once(place, 4))
        yield "train, checkpointing", lambda: trained(place)
        yield "train, checkpointing, 4 times the pairs at once", lambda: trained(place, *at_once(place, 4))
    else:
        yield "step", lambda: stepped(place)
        yield "kernels", lambda: profiled(place)
        yield "variants", lambda: varied(place)
        yield "train", lambda: trained(place)
        yield "train, 4 times the pairs at once", lambda: trained(place, *at_once(place, 4))
        yield "train all weights", lambda: full(place)
    if place.plan.sampled:
        yield "d3po", lambda: rounds(place)
    yield "generate", lambda: drawn(place)


def _here() -> tuple[str, ...]:
    """On the CPU bfloat16 takes forever."""
    return () if torch.cuda.is_available() else ("--dtype", "float32")


def _reset() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak() -> Figures:
    return {"peak GiB": torch.cuda.max_memory_allocated() / 2**30} if torch.cuda.is_available() else {}


def _utilisation(place: Place, rate: float) -> Figures:
    """TFLOP/s by `reproduce.sizes`: a pair is two images, policy forward and backward, reference forward."""
    if place.name not in SIZES:
        return {}
    size = SIZES[place.name]
    return {"TFLOP/s": rate * 2 * (size.lora + size.forward)}


def main() -> None:
    """Measure, print, keep."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--out", type=Path, required=True, help="folder of the work; the model's are removed after")
    words.add_argument("--figures", type=Path, help="file of the figures; OUT/figures.json if not given")
    words.add_argument("--models", nargs="+", choices=list(PLANS), default=["sd15", "sdxl"])
    words.add_argument(
        "--parts", nargs="+", help="these alone, on a model that an earlier call has left; all if not given"
    )
    given = words.parse_args()
    for name in given.models:
        if unknown := set(given.parts or ()) - {part for part, _ in parts(Place(name, given.out))}:
            words.error(f"--parts: {name} has no {', '.join(sorted(unknown))}")
    file = given.figures or given.out / "figures.json"
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    found: dict[str, object] = {"card": card, "torch": torch.__version__}
    for name in given.models:
        place = Place(name, given.out / name)
        for part, work in parts(place):
            if given.parts and part not in given.parts:
                continue
            _reset()
            began = time.perf_counter()
            figures = {key: round(value, 3) for key, value in work().items()}
            found[f"{name}: {part}"] = figures | {"took": round(time.perf_counter() - began, 1)}
            write_json(file, found)
            print(f"{name}: {part}: {found[f'{name}: {part}']}", flush=True)
        if not given.parts:
            shutil.rmtree(place.out)


if __name__ == "__main__":
    main()
