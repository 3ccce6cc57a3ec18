"""Batches made by hand."""

from __future__ import annotations

import torch

from tastemaker.train.batch import Batch, Side


def batch(ids, visits, winner, loser=None, condition=None, sign=None):
    """Latents [P, C, H, W] of winners and losers, or of single images with their ``sign``, as a `Batch`."""
    sides = [None if x0 is None else Side(x0, torch.zeros(len(x0), 6)) for x0 in (winner, loser)]
    return Batch(list(ids), list(visits), *sides, condition or {}, sign)
