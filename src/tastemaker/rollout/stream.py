"""From choices to what is learnt: which image of a prompt wins against which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tastemaker.rollout.choices import Choice, name_of


@dataclass(frozen=True)
class Duel:
    """One lesson: of two images of prompt number ``prompt``, row ``winner`` of the round beat row ``loser``."""

    pair_id: str
    prompt: int
    winner: int
    loser: int


def duels(choices: Sequence[Choice], samples: int, select: Literal["all", "best-worst"], number: int) -> list[Duel]:
    """The duels of round ``number`` with ``samples`` images a prompt; ties teach nothing.

    ``best-worst`` takes for each prompt the image with most wins minus losses against the one with fewest, the first of
    equals, and nothing where all are equal.
    """
    decided = [choice for choice in choices if choice.label != "tie"]
    ends = ((c.prompt, *((c.a, c.b) if c.label == "a" else (c.b, c.a))) for c in decided)
    chosen = ends if select == "all" else _extremes(decided)
    return [
        Duel(
            f"{number:03d}-{name_of(prompt, winner)}-{loser}",
            prompt,
            prompt * samples + winner,
            prompt * samples + loser,
        )
        for prompt, winner, loser in chosen
    ]


def net_wins(choices: Iterable[Choice]) -> dict[int, Counter[int]]:
    """Prompt → sample → wins minus losses, of the prompts of which something was decided."""
    nets: dict[int, Counter[int]] = {}
    for choice in choices:
        if choice.label != "tie":
            winner, loser = (choice.a, choice.b) if choice.label == "a" else (choice.b, choice.a)
            nets.setdefault(choice.prompt, Counter()).update({winner: 1, loser: -1})
    return nets


def _extremes(decided: Sequence[Choice]) -> Iterator[tuple[int, int, int]]:
    """(prompt, best, worst) of each prompt whose images are not all equal."""
    for prompt, net in sorted(net_wins(decided).items()):
        samples = sorted(net)
        best, worst = max(samples, key=net.__getitem__), min(samples, key=net.__getitem__)
        if net[best] > net[worst]:
            yield prompt, best, worst
