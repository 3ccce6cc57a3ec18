"""What is tried on a device: every way in which models, methods and rounds put tensors together."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from support import blip, clip_flan, qwen_reward
from support import d3po as rounds
from support.adapters import inputs
from support.clip import PROMPTS, save_transformers
from support.flow_models import save_tiny_flux, save_tiny_sd3
from support.models import save_tiny_sd, save_tiny_sd2, save_tiny_sdxl
from support.pretended import NAME
from support.training import make_task, recipe_of, write_pairs
from tastemaker.backbone.guidance import guided
from tastemaker.backbone.load import load
from tastemaker.base.draw import numbers
from tastemaker.base.errors import Interrupted
from tastemaker.evaluate.sampling import draw_batch, jobs, sampler
from tastemaker.score.models.clip_score import ClipScore
from tastemaker.score.models.hpsv3 import Hpsv3
from tastemaker.score.models.imagereward import ImageReward
from tastemaker.score.models.vqascore import VqaScore
from tastemaker.train import loop
from tastemaker.train.training import train

MODELS: dict[str, Callable[[Path], Path]] = {
    "sd": save_tiny_sd,
    "sd2": save_tiny_sd2,
    "sdxl": save_tiny_sdxl,
    "sd3": save_tiny_sd3,
    "flux": save_tiny_flux,
}
DDE = {"credit": {"weight": {"kind": "single-shot"}, "correction": {"kind": "stepwise"}}}
METHODS: dict[str, dict[str, Any]] = {
    "dpo": {"link": {"kind": "logistic", "beta": 200}},
    "slic": {"link": {"kind": "hinge", "beta": 200}},
    "orpo": {"link": {"kind": "odds", "weight": 0.3}},
    "kto": {"link": {"kind": "pointwise", "beta": 200}},
    "sft": {"link": {"kind": "sft"}},
    "dde": {"link": {"kind": "logistic", "beta": 200}, **DDE},
}
COMPARED = ("dpo", "slic", "dde")
"""With the reference; before the first update that is the policy itself."""
FAR = 5e-3
"""How far a GPU's float32 may be from the CPU's: convolutions have factors of 10 bits."""


def predicts(name: str, folder: Path, device: str) -> None:
    """A model encodes, reads prompts, predicts with guidance and decodes, as on the CPU."""
    place = MODELS[name](folder / name)
    there, here = (_seen(load(place, device=each)) for each in (device, "cpu"))
    for one, other in zip(there, here, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=_far(device), atol=_far(device))


def _far(device: str) -> float:
    return 1e-5 if device == NAME else FAR


def _seen(backbone: Any) -> list[torch.Tensor]:
    x_t, t, condition = inputs(backbone) if backbone.part == "unet" else _flow_inputs(backbone)
    with torch.no_grad():
        found = guided(backbone, x_t.to(backbone.device), t, condition, backbone.condition([""]), 3.0)
        pixels = torch.rand((2, 3, backbone.resolution, backbone.resolution), generator=_random()) * 2 - 1
        return [found.output.float(), backbone.encode(pixels).mean, backbone.decode(x_t.to(backbone.device))]


def _flow_inputs(backbone: Any) -> Any:
    x_t = torch.randn((2, *backbone.latent_shape(backbone.resolution)), generator=_random())
    return x_t, torch.tensor([10, 900]), backbone.condition(["a red circle", ""])


def _random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def trains(name: str, folder: Path, device: str, **changes: Any) -> None:
    """A run of a method begins with the CPU's loss, and where there is a reference with a margin of exactly 0."""
    tree = make_task(folder / "task", pairs=4) | {"method": METHODS[name]} | changes
    runs = {place: folder / place for place in {device, "cpu"}}
    for place, out in runs.items():
        train(recipe_of(tree, out, device=place, log_every=1))
    first = [rounds.lines(out)[0] for out in runs.values()]
    assert abs(first[0]["loss"] - first[-1]["loss"]) < _far(device) * max(1.0, first[0]["loss"])
    if name in COMPARED:
        assert [line["margin"] for line in first] == [0.0] * len(first)


def plays(folder: Path, device: str) -> None:
    """Rounds of D3PO with guidance: sampled, judged, learnt from."""
    tree = rounds.make_tree(folder / "task")
    summary = rounds.run(tree, folder / "run", train={"device": device}, rounds={"count": 2})
    assert summary["steps"] == 4


def draws(folder: Path, device: str) -> None:
    """The sampler draws the CPU's pictures."""
    place = save_tiny_sd(folder / "model")
    pictures = []
    for each in (device, "cpu"):
        drawn = sampler(load(place, device=each), "ddim", resolution=None, seed=0, steps=3, guidance=5.0)
        pictures.append(draw_batch(drawn, jobs(["a red circle", "a dot"], 1))[0])
    far = max(abs(a - b) for a, b in zip(*(picture.tobytes() for picture in pictures), strict=True))
    assert far <= (0 if device == NAME else 2), far


def resumes(folder: Path, device: str) -> None:
    """A run that is stopped after three steps goes on to the end, with validation and pictures on the way."""
    tree = make_task(folder / "task", pairs=6) | {"method": METHODS["dde"]}
    write_pairs(folder / "held-out", 2, first=4)
    write_pairs(folder / "ranked", 4)
    tree["data"] |= {"pairs": str(folder / "ranked"), "validation": str(folder / "held-out")}
    looking = {"sample_every": 2, "sample_prompts": ["a dot"], "sample_steps": 2, "validate_every": 2}
    recipe = recipe_of(tree, folder / "run", device=device, **looking)
    with mock.patch.object(loop, "advance", _stopping(loop.advance, after=3)), pytest.raises(Interrupted):
        train(recipe)
    assert train(recipe)["steps"] == 4


def _stopping(advance: Any, after: int) -> Any:
    def advanced(task: Any, run: Any, stop: Any) -> Any:
        if run.step == after:
            stop.signum = signal.SIGTERM
        return advance(task, run, stop)

    return advanced


def scores(name: str, folder: Path, device: str) -> None:
    """A reward model says what it says on the CPU."""
    scorer = SCORERS[name](folder)
    shown = [picture(number) for number in range(len(PROMPTS))]
    here, there = (dataclasses.replace(scorer, device=each).score(PROMPTS, shown) for each in ("cpu", device))
    np.testing.assert_allclose(there, here, rtol=_far(device), atol=_far(device))


def picture(number: int) -> Image.Image:
    pixels = numbers("on device", number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((224, 224))


def _clip(folder: Path) -> Any:
    save_transformers(folder)
    return ClipScore(str(folder))


def _imagereward(folder: Path) -> Any:
    blip.save_tiny(folder / "tiny")
    return ImageReward(str(folder / "tiny"), str(folder / "tiny" / "bert"))


def _hpsv3(folder: Path) -> Any:
    qwen_reward.save_tiny(folder / "tiny")
    return Hpsv3(str(folder / "tiny"), str(folder / "tiny" / "base"), "float32")


def _vqascore(folder: Path) -> Any:
    clip_flan.save_tiny(folder / "tiny")
    return VqaScore(str(folder / "tiny"), str(folder / "tiny" / "flan"), "float32")


SCORERS: dict[str, Callable[[Path], Any]] = {
    "clip": _clip,
    "imagereward": _imagereward,
    "hpsv3": _hpsv3,
    "vqascore": _vqascore,
}
DROPPING = {"kind": "lora", "rank": 2, "dropout": 0.2, "dora": True}
SCENARIOS: dict[str, Callable[[Path, str], None]] = {
    "d3po": plays,
    "generate": draws,
    **{f"model {name}": partial(predicts, name) for name in MODELS},
    **{f"train {name}": partial(trains, name) for name in METHODS},
    "resume": resumes,
    **{f"score {name}": partial(scores, name) for name in SCORERS},
    "train full": partial(trains, "dpo", adapter={"kind": "full"}),
    **{f"train {dtype}": partial(trains, "dpo", dtype=dtype) for dtype in ("bfloat16", "float16")},
    "train dropout": partial(trains, "sft", adapter=DROPPING),
}
"""Name → what is tried in a folder on a device."""
