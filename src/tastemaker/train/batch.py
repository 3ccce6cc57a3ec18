"""Pairs as training reads them: latents drawn from the cache's moments, and what the denoiser reads of the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.base import draw
from tastemaker.encode.cache import EMPTY
from tastemaker.method.evidence import SIDES

if TYPE_CHECKING:
    from tastemaker.backbone.backbone import Condition
    from tastemaker.encode.cache import Cache
    from tastemaker.method.when import When
    from tastemaker.rank.pairs import Pair


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a batch that a method reads, I in all: P winners, then P losers; or P single ones."""

    x0: Tensor
    """Latents [I, C, H, W], float32."""
    side: Tensor
    """[I]: 0 for winners and liked images, 1 for losers and disliked ones."""
    condition: Condition
    """One row an image."""
    sign: Tensor | None
    """[P] ±1 of single images."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each run of P images is called in the log."""
        return SIDES if self.sign is None else ("image",)


@dataclass(frozen=True, eq=False)
class Batch:
    """P pairs, or P single images in the winner's place, on the CPU.

    ``visits`` [P] counts how often each was seen before, which keys its draws.
    """

    pair_ids: list[str]
    visits: list[int]
    winner: Tensor
    """Latents [P, C, H, W], float32."""
    loser: Tensor | None
    condition: Condition
    """One row a pair."""
    sign: Tensor | None = None
    """[P] +1 or −1 where the images are single ones, liked or not."""

    def images(self, losers: bool) -> Images:
        """The winners and, when ``losers`` are wanted and there are some, the losers."""
        sides = (self.winner, self.loser) if losers and self.loser is not None else (self.winner,)
        condition = {name: torch.cat([rows] * len(sides)) for name, rows in self.condition.items()}
        side = torch.arange(len(sides)).repeat_interleave(len(self.pair_ids))
        return Images(torch.cat(sides), side if self.sign is None else (self.sign < 0).long(), condition, self.sign)


def make_batch(
    pairs: Sequence[Pair], visits: Sequence[int], cache: Cache, seed: int, drop_caption: float = 0.0
) -> Batch:
    """Read ``pairs`` from ``cache`` and draw their latents.

    The autoencoder's noise is a function of (seed, pair id, visit) and shared inside a pair, as is the choice to read
    the empty prompt in place of the caption, which has probability ``drop_caption``.
    """
    keys = [(pair.pair_id, visit) for pair, visit in zip(pairs, visits, strict=True)]
    noise = torch.stack([draw.normal(cache.latent_shape, seed, "posterior", *key) for key in keys])
    dropped = [draw.numbers(seed, "caption", *key).random() < drop_caption for key in keys]
    captions = [EMPTY if drop else pair.prompt_sha for pair, drop in zip(pairs, dropped, strict=True)]
    return Batch(
        pair_ids=[pair.pair_id for pair in pairs],
        visits=list(visits),
        winner=cache.moments([pair.winner for pair in pairs]).at(noise),
        loser=cache.moments([pair.loser for pair in pairs]).at(noise),
        condition=cache.condition(captions),
    )


def draws(batch: Batch, when: When, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Step t [P] of 0..``steps``−1 and noise ε [P, C, H, W] of each pair, functions of (seed, pair id, visit) alone."""
    keys = list(zip(batch.pair_ids, batch.visits, strict=True))
    u = torch.tensor([draw.numbers(seed, "time", *key).random() for key in keys], dtype=torch.float64)
    eps = torch.stack([draw.normal(tuple(batch.winner.shape[1:]), seed, "noise", *key) for key in keys])
    return when.draw(u, steps), eps
