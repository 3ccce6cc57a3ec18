"""What is reproduced: anything that needs stages and writes a part of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage

Paper = Literal["qsd", "dde", "d3po", "ours"]


class Exhibit(Protocol):
    """A table or figure of a paper, or our own; ``key`` is what `--only` takes, as it takes the paper's name."""

    @property
    def key(self) -> str:
        """What `--only` takes."""

    @property
    def paper(self) -> Paper:
        """Whose it is."""

    @property
    def title(self) -> str:
        """Its heading."""

    @property
    def arms(self) -> Sequence[Arm]:
        """Every arm whose scores it shows, each once."""

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """What it needs, seed by seed, so that all of it has one seed before some of it has two."""

    def write(self, results: Results, folder: Path) -> str:
        """Its part of the page as Markdown, of what is finished; pictures and data go to ``folder``. Empty: nothing."""


@dataclass(frozen=True)
class OfArms:
    """What the exhibits of several arms of a ``model`` have in common; ``labels`` are what the page calls the arms."""

    key: str
    paper: Paper
    title: str
    model: str
    arms: tuple[Arm, ...]
    labels: tuple[str, ...]

    @property
    def named(self) -> dict[str, Arm]:
        """Label → arm."""
        return dict(zip(self.labels, self.arms, strict=True))

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base and every arm, scored."""
        return scored(shop, self.model, self.arms, seeds)


@dataclass(frozen=True)
class Claim:
    """``better`` lies above ``worse`` (None: the base); with ``margin`` it lies less than that below, or above.

    ``metrics`` are those of which it is said, ``share`` of them must agree; none is the first judge. ``margin`` is in
    standard deviations of the base's scores over prompts.
    """

    says: str
    better: Arm | None
    worse: Arm | None
    whose: Literal["paper", "ours"] = "paper"
    """Whether the paper says or prints it, or it is our own check."""
    metrics: tuple[str, ...] = ()
    share: float = 1.0
    margin: float = 0.0


@dataclass(frozen=True)
class Missing:
    """Stands in the place of what cannot be made (`Exhibit`): ``needs`` says what for, and the way out."""

    key: str
    paper: Paper
    title: str
    needs: str
    arms: tuple[Arm, ...] = ()

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """None."""
        del shop, seeds
        return iter(())

    def write(self, results: Results, folder: Path) -> str:
        """What it needs."""
        del results, folder
        return f"### {self.title}\n\nNot made: {self.needs}.\n"


def scored(shop: Shop, model: str, arms: Sequence[Arm], seeds: Sequence[int]) -> Iterator[Stage]:
    """The base and every arm, drawn and scored."""
    yield shop.base(model)
    for seed in seeds:
        yield from (shop.scored(arm, seed) for arm in arms)
