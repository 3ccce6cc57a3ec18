"""A small training task on disk, written by the formats' description, and children that train and can be killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from support.models import LATENT_SHAPE, TEXT_SHAPE, save_tiny_sd

PROMPTS = ("a red circle", "a blue square", "two green stars", "")
PRELOADED = [
    "peft",
    "torch.utils.tensorboard",
    "transformers.models.clip.modeling_clip",
    "tastemaker.backbone.stable_diffusion",
    "tastemaker.rank.pairs",
    "tastemaker.train.loop",
    "tastemaker.train.training",
]


def make_task(folder: Path, pairs: int = 10, model: Path | None = None) -> dict[str, Any]:
    """Write model, cache and pairs under ``folder``; returns a recipe's tree for them, without ``out``."""
    from tastemaker.backbone.load import identity

    model = model or save_tiny_sd(folder / "model", tiny_vae=True)
    write_pairs(folder / "ranked", pairs)
    write_cache(folder / "cache", pairs, str(model), identity(model))
    return {
        "model": str(model),
        "data": {"pairs": str(folder / "ranked"), "cache": str(folder / "cache"), "epochs": 2},
        "adapter": {"kind": "lora", "rank": 2, "alpha": 4},
        "method": {"link": {"kind": "logistic", "beta": 200}},
        "train": {
            "batch_size": 2,
            "accumulate": 1,
            "lr": 1e-3,
            "ema": 0.9,
            "drop_caption": 0.2,
            "log_every": 2,
            "checkpoint_every": 3,
        },
    }


def write_pairs(ranked: Path, pairs: int, first: int = 0) -> None:
    """Write ``pairs.parquet`` with pair i preferring image w<i> to l<i>, from pair ``first`` on."""
    import pyarrow as pa

    from tastemaker.base.files import sha256_text
    from tastemaker.rank import pairs as stored

    rows = [
        {
            "pair_id": f"pair-{index}",
            "prompt": (prompt := PROMPTS[index % len(PROMPTS)]),
            "prompt_sha": sha256_text(prompt),
            "winner": f"w{index}",
            "loser": f"l{index}",
            "strength": 1.0,
            "psi_winner": 0.8,
            "psi_loser": 0.2,
            "quality": 0.64 - index / 1000,
        }
        for index in range(first, first + pairs)
    ]
    ranked.mkdir(parents=True, exist_ok=True)
    stored.write_pairs(ranked / stored.NAME, pa.Table.from_pylist(rows, stored.SCHEMA), {})


def write_cache(cache: Path, pairs: int, model: str, model_key: str) -> None:
    """Write a cache of random latents and embeddings as `docs/architecture.md` describes it."""
    import torch
    from safetensors.torch import save_file

    from tastemaker.base.files import sha256_text

    cache.mkdir(parents=True, exist_ok=True)
    names = [f"{side}{index}" for index in range(pairs) for side in "wl"]
    random = torch.Generator().manual_seed(1)
    mean = torch.randn((len(names), *LATENT_SHAPE), generator=random)
    time_ids = torch.tensor([32.0, 32, 0, 0, 32, 32]).repeat(len(names), 1)
    moments = {"mean": mean, "std": torch.full_like(mean, 0.1)}
    save_file(moments | {"time_ids": time_ids}, cache / "images-00000.safetensors")
    embeds = torch.randn((len(PROMPTS), *TEXT_SHAPE), generator=random)
    save_file({"embeds": embeds}, cache / "prompts-00000.safetensors")
    index = {
        "model": model,
        "model_key": model_key,
        "resolution": 32,
        "scaling_factor": 1.0,
        "latent_shape": list(LATENT_SHAPE),
        "images": {name: [0, row] for row, name in enumerate(names)},
        "prompts": {sha256_text(prompt): [0, row] for row, prompt in enumerate(PROMPTS)},
    }
    (cache / "cache.json").write_text(json.dumps(index))


def recipe_of(tree: dict[str, Any], out: Path, **train: Any) -> Any:
    """The recipe of a tree with ``train`` settings changed."""
    from tastemaker.train.recipe import Recipe

    return Recipe.model_validate(tree | {"out": str(out), "train": tree["train"] | train})


def start(tree: dict[str, Any], out: Path, sabotage: str = "") -> Any:
    """Train in a child process that was forked from a clean one with the libraries loaded."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    child = context.Process(target=_child, args=(tree, str(out), sabotage))
    child.start()
    return child


def _child(tree: dict[str, Any], out: str, sabotage: str) -> None:
    import torch

    from tastemaker.base.errors import Interrupted
    from tastemaker.train.training import train

    torch.set_num_threads(1)
    if sabotage:
        (MOMENTS | LATER)[sabotage]()
    try:
        train(recipe_of(tree, Path(out)))
    except Interrupted as stop:
        sys.exit(128 + stop.signum)


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_in_a_write() -> None:
    """Half of the second checkpoint's optimizer file is on disk."""

    def half(tensors: Any, path: Path, *rest: Any) -> None:
        whole(tensors, path, *rest)
        if ".tmp-" in str(path.parent) and "step-000006" in str(path) and path.name == "optimizer.safetensors":
            os.truncate(path, path.stat().st_size // 2)
            _die()

    import safetensors.torch

    whole = safetensors.torch.save_file
    safetensors.torch.save_file = half


def _die_between_weights_and_optimizer() -> None:
    """The second checkpoint's weights are on disk, its optimizer is not."""

    def write(path: Path, tensors: Any) -> None:
        if "step-000006" in str(path) and path.name == "optimizer.safetensors":
            _die()
        whole(path, tensors)

    from tastemaker.train import checkpoint

    whole = checkpoint.write_tensors
    checkpoint.write_tensors = write


def _die_before_the_rename() -> None:
    """The second checkpoint is whole under its temporary name."""

    def rename(source: Any, target: Any) -> None:
        _die() if "step-000006" in str(target) else whole(source, target)

    whole = os.rename
    os.rename = rename


def _die_after_the_third() -> None:
    def save(out: Path, found: Any, keep: int) -> Path:
        path = whole(out, found, keep)
        if found.state.step == 9:
            _die()
        return path

    from tastemaker.train import checkpoint

    whole = checkpoint.save
    checkpoint.save = save


MOMENTS: dict[str, Callable[[], None]] = {
    "in a write": _die_in_a_write,
    "between weights and optimizer": _die_between_weights_and_optimizer,
    "before the rename": _die_before_the_rename,
}
LATER = {"after the third checkpoint": _die_after_the_third}
