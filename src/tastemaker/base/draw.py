"""Keyed random draws: a draw is a function of its key alone.

Two processes, two batch sizes or two devices that ask for the same key get the same numbers,
so resume, sharding and shuffling never change what is drawn. Draws are made on the CPU in
float32 with the counter-based Philox generator (Salmon et al. 2011).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Key = str | int


def key_bits(*key: Key) -> int:
    """128 bits of a hash of ``key``; ("ab", "c") and ("a", "bc") differ, as do 1 and "1"."""
    text = json.dumps(key, ensure_ascii=True).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


def numbers(*key: Key) -> np.random.Generator:
    """A numpy generator whose stream depends on ``key`` alone."""
    return np.random.Generator(np.random.Philox(key=key_bits(*key)))


def normal(shape: tuple[int, ...], *key: Key) -> Tensor:
    """Standard normal noise, float32 on the CPU, of ``shape``."""
    import torch

    return torch.from_numpy(numbers(*key).standard_normal(shape, dtype=np.float32))


def seed(*key: Key) -> int:
    """A 63-bit seed for libraries that want one."""
    return key_bits(*key) & (2**63 - 1)
