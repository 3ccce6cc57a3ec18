"""A cache whose contents are functions of the key, and batches of pairs from it."""

from __future__ import annotations

from dataclasses import replace

import torch

from support.models import LATENT_SHAPE, TEXT_SHAPE
from tastemaker.backbone.backbone import Moments
from tastemaker.rank.pairs import Pair
from tastemaker.train.batch import make_batch

SEED = 7


class FakeCache:
    """Moments, sizes and embeddings that are functions of the key."""

    def shape_of(self, _):
        return LATENT_SHAPE

    def images_of(self, pair):
        return pair.winner, pair.loser

    def time_ids(self, shas):
        return torch.stack([torch.rand(6, generator=_generator(f"size of {sha}")) for sha in shas])

    def moments(self, shas):
        draw = [torch.randn(2, *LATENT_SHAPE, generator=_generator(sha)) for sha in shas]
        return Moments(torch.stack([mean for mean, _ in draw]), torch.stack([std.abs() for _, std in draw]))

    def condition(self, shas):
        return {"embeds": torch.stack([torch.randn(*TEXT_SHAPE, generator=_generator(sha)) for sha in shas])}


def _generator(key):
    return torch.Generator().manual_seed(sum(ord(letter) * 31**at for at, letter in enumerate(key)) % 2**31)


def pair(number, winner=None, loser=None):
    return Pair(
        pair_id=f"pair-{number}",
        prompt=f"prompt {number}",
        prompt_sha=f"prompt-{number}",
        winner=winner or f"image-{number}-w",
        loser=loser or f"image-{number}-l",
        strength=1.0,
        quality=0.5,
        psi_winner=0.7,
        psi_loser=0.3,
    )


def batch_of(pairs, visits=None, **settings):
    return make_batch(pairs, visits or [0] * len(pairs), FakeCache(), SEED, **settings)


PAIRS = [pair(number) for number in range(4)]
SINGLES = [replace(pair(0), pair_id="liked", loser=None), replace(pair(1), pair_id="disliked", winner=None)]
