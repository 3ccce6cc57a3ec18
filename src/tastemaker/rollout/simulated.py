"""A person who is not sure, as a Bradley-Terry judge with mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tastemaker.base.draw import Key, numbers
from tastemaker.base.errors import UserError


@dataclass(frozen=True)
class Judging:
    """How judgements come about: the first image is preferred with probability σ((u_0 − u_1)/τ) (Bradley & Terry 1952).

    ``temperature`` is τ in units of utility, ``flips`` the share turned round at random, ``tie`` the largest difference
    of utility that is called a tie.
    """

    temperature: float = 0.1
    flips: float = 0.2
    tie: float = 0.002

    def __post_init__(self) -> None:
        if self.temperature <= 0 or not 0 <= self.flips <= 1 or self.tie < 0:
            raise UserError(f"{self}: temperature must be above 0, flips between 0 and 1, tie not negative")

    def label(self, utilities: tuple[float, float], *key: Key) -> float:
        """Pick-a-Pic's `label_0`: 1 the first image is better, 0 the second, 0.5 a tie."""
        difference = utilities[0] - utilities[1]
        if abs(difference) <= self.tie:
            return 0.5
        preference, turned = numbers("judge", *key).random(2)
        first = preference < (1 + np.tanh(difference / self.temperature / 2)) / 2
        return float(first != (turned < self.flips))
