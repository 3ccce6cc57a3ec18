"""Who says which of a prompt's fresh images are better: scorers, a simulated person, or people.

A source of feedback is a frozen model with the scorers it needs and one function, from a round to choices. A further
source is one more such class and a word in `Feedback`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from tastemaker.base import files
from tastemaker.rollout.asking import Asked
from tastemaker.rollout.config import Source

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.rollout.choices import Choice

PICTURES = "pictures"


@dataclass(frozen=True, eq=False)
class Round:
    """What a source of feedback is asked about: P prompts with K images each."""

    folder: Path
    number: int
    seed: int
    prompts: Sequence[str]
    pngs: Sequence[Sequence[bytes]]
    """[P][K] encoded images."""
    rewards: Mapping[str, np.ndarray]
    """Spec of a scorer → raw scores [P, K]."""

    @property
    def samples(self) -> int:
        """K."""
        return len(self.pngs[0])

    @cached_property
    def shas(self) -> Sequence[Sequence[str]]:
        """[P][K] hex SHA-256 of the images."""
        return [[files.sha256_bytes(png) for png in images] for images in self.pngs]

    @property
    def duels(self) -> Iterator[tuple[int, int, int]]:
        """(prompt, a, b) with a < b: every pair of a prompt's images that differ."""
        for prompt, images in enumerate(self.pngs):
            for a, b in itertools.combinations(range(len(images)), 2):
                if images[a] != images[b]:
                    yield prompt, a, b


class Scored(Source):
    """Scorers stand in for people: the higher score is better."""

    kind: Literal["scorer"] = "scorer"
    scorers: tuple[str, ...] = Field(min_length=1)
    """Scorers with options, as in jpeg-size:prefer=small. Of several, a better image is worse for none of them."""
    tie: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Largest difference of raw scores that counts as equal."""

    def choices(self, round: Round) -> list[Choice]:
        """One choice for every two different images of a prompt."""
        from tastemaker.rollout.choices import Choice, dominance

        scores = [round.rewards[spec] for spec in self.scorers]

        def of(prompt: int, sample: int) -> list[float]:
            return [float(raw[prompt, sample]) for raw in scores]

        return [Choice(p, a, b, dominance(of(p, a), of(p, b), self.tie)) for p, a, b in round.duels]


class Simulated(Source):
    """A person who sees what a scorer measures, but is not sure of it and makes mistakes."""

    kind: Literal["simulated"] = "simulated"
    scorer: str
    """What the person goes by, in its raw unit."""
    temperature: float = Field(0.1, gt=0, allow_inf_nan=False)
    """A difference of this size is judged rightly in 73 % of the cases (Bradley-Terry), before mistakes."""
    flips: float = Field(0.2, ge=0, le=1)
    """Share of judgements turned round."""
    tie: float = Field(0.002, ge=0, allow_inf_nan=False)
    """Largest difference that is called a tie."""

    @property
    def scorers(self) -> tuple[str, ...]:
        """The one it goes by."""
        return (self.scorer,)

    def choices(self, round: Round) -> list[Choice]:
        """One choice for every two different images of a prompt; each depends on (seed, round, place) alone."""
        from tastemaker.rollout.choices import Choice
        from tastemaker.rollout.simulated import Judging

        judging, raw = Judging(self.temperature, self.flips, self.tie), round.rewards[self.scorer]
        found = []
        for p, a, b in round.duels:
            first = judging.label((float(raw[p, a]), float(raw[p, b])), round.seed, round.number, p, a, b)
            found.append(Choice(p, a, b, "tie" if first == 0.5 else "a" if first == 1 else "b"))
        return found


class People(Source):
    """People look at a round's pictures and fill in choices.csv, choices.jsonl or ratings.json in its folder."""

    scorers: ClassVar[tuple[str, ...]] = ()

    kind: Literal["file"] = "file"

    def choices(self, round: Round) -> list[Choice] | str:
        """The choices that were filled in, or one line that says what is missing; the files to fill in are there."""
        from tastemaker.rollout import choices

        for prompt, images in enumerate(round.pngs):
            for sample, png in enumerate(images):
                _write_once(round.folder / PICTURES / f"{choices.name_of(prompt, sample)}.png", png)
        choices.write_template(round.folder, round.prompts, round.samples)
        found = choices.read(round.folder, round.prompts, round.samples)
        return f"{found}; fill it in and run the same command again" if isinstance(found, str) else found


Feedback = Annotated[Scored | Simulated | People | Asked, Field(discriminator="kind")]


def _write_once(path: Path, data: bytes) -> None:
    if not path.exists():
        with files.atomic_file(path) as temporary:
            temporary.write_bytes(data)
