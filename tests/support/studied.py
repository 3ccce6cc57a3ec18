"""Studies of pairs of DPO and DPO-QSD whose votes are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tastemaker.reproduce.study_majorities import DPO, QSD
from tastemaker.study.vote import Image, Item, Vote


def items(count: int = 4) -> tuple[Item, ...]:
    """QSD's image stands second in every other item; two of a category."""
    return tuple(
        Item(
            id=number,
            kind="pair",
            prompt=f"prompt {number}",
            images=tuple(Image(f"{number}-{model}", model) for model in ((DPO, QSD) if number % 2 else (QSD, DPO))),
            category=("one", "two", "three")[number // 2],
        )
        for number in range(count)
    )


def votes(seed: int, outcomes: Mapping[str, Sequence[int]]) -> list[Vote]:
    """Of each item and question so many of five raters for QSD; the others say DPO."""
    return [
        Vote(f"seed {seed}, simulated {person}", item, question, (item % 2) ^ int(person >= for_qsd), 4.0, 0.0)
        for question, row in outcomes.items()
        for item, for_qsd in enumerate(row)
        for person in range(5)
    ]
