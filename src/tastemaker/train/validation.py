"""Validation: whether held-out pairs are told apart, by the implicit reward of the model in training.

    m̄ = 1/10 Σ_k [e_r(x_w) − e_θ(x_w)] − [e_r(x_l) − e_θ(x_l)]   at t_k = ⌊(k + ½) T / 10⌋, k = 0..9

(the implicit reward of Wallace et al. 2023, arXiv:2311.12908, up to β, its expectation over t on an even grid). e is
the native error without any method's weight or correction, so runs of different methods compare. Noise is shared inside
a pair and by policy and reference, and keyed by (pair id, k) alone: every validation of every run sees the same.

Where the reference is not kept (full training by a method that reads none) e_r is 0: m̄ then compares denoising errors
alone, and its accuracy says less, because some images are easier than others whatever was learnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.base import draw
from tastemaker.base.placing import put
from tastemaker.train.batch import Batch, make_batch
from tastemaker.train.order import Micro
from tastemaker.train.shapes import alike

if TYPE_CHECKING:
    from tastemaker.encode.cache import Cache
    from tastemaker.rank.pairs import Pair
    from tastemaker.train.run import Task

GRID = 10
"""Steps t."""
SEED = 0
"""Of the autoencoder's noise; not the run's seed, so that runs of several seeds compare."""


@dataclass(frozen=True)
class HeldOut:
    """Pairs that are never trained on. ``reference``: whether the trainable can show the model before training."""

    pairs: Sequence[Pair]
    reference: bool
    cache: Cache


def held_out(pairs: Sequence[Pair], most: int, reference: bool, cache: Cache) -> HeldOut:
    """At most ``most`` of ``pairs``, chosen by their ids: a ranked folder's first ones would be its easiest."""
    chosen = sorted(pairs, key=lambda pair: draw.key_bits("validation", pair.pair_id))[:most]
    return HeldOut(chosen, reference, cache)


@torch.no_grad()
def validate(task: Task, held: HeldOut) -> dict[str, float]:
    """Share of pairs with m̄ > 0 (0 counts half) and mean m̄ of the weights as they are; every rank calls it."""
    totals = torch.zeros(3, dtype=torch.float64)
    for batch in task.ranks.share(list(_batches(task, held))):
        margin = _margin(task, held, batch).double().cpu()
        correct = (margin > 0).double() + (margin == 0).double() / 2
        totals += torch.stack([correct.sum(), margin.sum(), torch.tensor(float(len(margin)))])
    correct_pairs, margins, pairs = (sum(column) for column in zip(*task.ranks.gather(totals.tolist()), strict=True))
    return {"validation_accuracy": correct_pairs / pairs, "validation_margin": margins / pairs}


def _batches(task: Task, held: HeldOut) -> Iterator[Micro[Pair]]:
    size = task.recipe.train.batch_size
    for first in range(0, len(held.pairs), size):
        pairs = list(held.pairs[first : first + size])
        yield from alike(Micro(pairs, [0] * len(pairs)), held.cache)


def _margin(task: Task, held: HeldOut, micro: Micro[Pair]) -> Tensor:
    """m̄ [P]."""
    batch = make_batch(micro.pairs, micro.visits, held.cache, SEED)
    policy = _advantage(task, batch, nullcontext())
    return policy - _advantage(task, batch, task.trainable.reference()) if held.reference else policy


def _advantage(task: Task, batch: Batch, model: AbstractContextManager[None]) -> Tensor:
    """Mean over the grid of e(x_l) − e(x_w) [P] of the model inside ``model``."""
    backbone, images = task.backbone, batch.images(losers=True)
    x0 = put(images.x0, backbone.device)
    total = torch.zeros(len(batch.pair_ids), device=backbone.device)
    with model:
        for number in range(GRID):
            t = torch.full((len(x0),), (2 * number + 1) * backbone.schedule.steps // (2 * GRID))
            eps = put(_noise(batch, number), backbone.device)
            x_t = backbone.schedule.noised(x0, eps, t)
            winner, loser = backbone.forward(x_t, t, images.condition).error(x0, eps).chunk(2)
            total += loser - winner
    return total / GRID


def _noise(batch: Batch, number: int) -> Tensor:
    """ε of winners and losers [2P, C, H, W], the same for both of a pair."""
    shape = tuple(batch.winner.x0.shape[1:])
    return torch.stack([draw.normal(shape, "validation", name, number) for name in batch.pair_ids]).repeat(2, 1, 1, 1)
