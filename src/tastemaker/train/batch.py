"""Pairs as training reads them: latents drawn from the cache's moments, and what the denoiser reads of the prompts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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
class Side:
    """One image of each pair: latents [P, C, H, W] in float32, and the sizes [P, 6] that SDXL is told."""

    x0: Tensor
    time_ids: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """P pairs, or P single images in the winner's place, of one shape and on the CPU.

    ``visits`` [P] counts how often each was seen before, which keys its draws.
    """

    pair_ids: list[str]
    visits: list[int]
    winner: Side
    loser: Side | None
    condition: Condition
    """What the denoiser reads of the prompts, one row a pair."""
    sign: Tensor | None = None
    """[P] +1 or −1 where the images are single ones, liked or not."""
    share: ClassVar[float] = 1.0
    """Of a pair that a row stands for."""

    def images(self, losers: bool) -> Images:
        """The winners and, when ``losers`` are wanted and there are some, the losers."""
        sides = (self.winner, self.loser) if losers and self.loser is not None else (self.winner,)
        condition = {name: torch.cat([rows] * len(sides)) for name, rows in self.condition.items()}
        condition["time_ids"] = torch.cat([side.time_ids for side in sides])
        side = torch.arange(len(sides)).repeat_interleave(len(self.pair_ids))
        x0 = torch.cat([one.x0 for one in sides])
        return Images(x0, side if self.sign is None else (self.sign < 0).long(), condition, self.sign)


def make_batch(
    pairs: Sequence[Pair], visits: Sequence[int], cache: Cache, seed: int, drop_caption: float = 0.0
) -> Batch:
    """Read ``pairs`` (all pairs or all single images, of one shape) from ``cache`` and draw their latents.

    The autoencoder's noise is a function of (seed, pair id, visit) and shared inside a pair, as is the choice to read
    the empty prompt in place of the caption, which has probability ``drop_caption``.
    """
    keys = [(pair.pair_id, visit) for pair, visit in zip(pairs, visits, strict=True)]
    noise = torch.stack([draw.normal(cache.shape_of(pairs[0]), seed, "posterior", *key) for key in keys])
    dropped = [draw.numbers(seed, "caption", *key).random() < drop_caption for key in keys]
    captions = [EMPTY if drop else pair.prompt_sha for pair, drop in zip(pairs, dropped, strict=True)]
    single = pairs[0].single
    assert all(pair.single == single for pair in pairs), "a batch holds pairs or single images"

    def side(images: Iterable[str | None]) -> Side:
        shown = [image for image in images if image is not None]
        return Side(cache.moments(shown).at(noise), cache.time_ids(shown))

    winners, losers = zip(*map(cache.images_of, pairs), strict=True)
    return Batch(
        pair_ids=[pair.pair_id for pair in pairs],
        visits=list(visits),
        winner=side(winner or loser for winner, loser in zip(winners, losers, strict=True)),
        loser=None if single else side(losers),
        condition=cache.condition(captions),
        sign=torch.tensor([float(pair.sign) for pair in pairs]) if single else None,
    )


def draws(batch: Batch, when: When, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Step t [P] of 0..``steps``−1 and noise ε [P, C, H, W] of each pair, functions of (seed, pair id, visit) alone."""
    keys = list(zip(batch.pair_ids, batch.visits, strict=True))
    u = torch.tensor([draw.numbers(seed, "time", *key).random() for key in keys], dtype=torch.float64)
    eps = torch.stack([draw.normal(tuple(batch.winner.x0.shape[1:]), seed, "noise", *key) for key in keys])
    return when.draw(u, steps), eps
