"""What raters are asked and what they answer: the two values that every part of a study shares.

An answer speaks of an image by its place in `Item.images`, never by the side on which it stood. By the kind of task:

pair    0 or 1, the better image, or "tie"
best    the place of the best image
rank    the places, best first, as a tuple
flag    a tuple of (place, flag), sorted; empty where nothing is wrong
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Strict, field_validator, model_validator

from tastemaker.base.files import sha256_text

Kind = Literal["pair", "best", "rank", "flag"]
TIE: Literal["tie"] = "tie"
Place = Annotated[int, Strict()]
Answer = Place | Literal["tie"] | tuple[Place, ...] | tuple[tuple[Place, str], ...]


class Image(NamedTuple):
    """An image of an item: the hex SHA-256 of its encoded bytes, and what made it (empty where unknown)."""

    sha: str
    model: str = ""


class Item(BaseModel):
    """One task of a design: ``images`` of a ``prompt``, to be compared, ranked or flagged.

    ``gold`` is the expected answer of a task that checks the rater; ``repeats`` is the id of the item that this one
    asks a second time, with the same images in the same order. Neither counts in the results.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int
    kind: Kind
    prompt: str
    images: tuple[Image, ...]
    category: str = ""
    gold: Answer | None = None
    repeats: int | None = None

    @field_validator("gold", mode="before")
    @classmethod
    def _read_gold(cls, value: Any) -> Any:
        return canonical(value)

    @model_validator(mode="after")
    def _fits(self) -> Item:
        least, most = {"pair": (2, 2), "flag": (1, None)}.get(self.kind, (2, None))
        if not least <= len(self.images) <= (most or len(self.images)):
            raise ValueError(f"item {self.id}: a task of kind {self.kind} with {len(self.images)} images")
        if self.gold is not None and (wrong := misfit(self, self.gold)):
            raise ValueError(f"item {self.id}: gold: {wrong}")
        return self

    @property
    def measured(self) -> bool:
        """Whether the votes on it count in the results; gold items and repetitions only check the rater."""
        return self.gold is None and self.repeats is None


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer of a rater (an opaque id) to one question of one item, as given; votes are only ever added.

    ``answer`` None takes back what was said before. ``shown`` are the places of the item's images in the order in which
    they stood before the rater, empty where unknown. ``seconds`` is the time taken, ``at`` seconds since 1970 (UTC).
    """

    rater: str
    item: int
    question: str
    answer: Answer | None
    seconds: float
    at: float
    revision: int = 0
    shown: tuple[int, ...] = ()


def canonical(value: Any) -> Any:
    """``value`` as read from JSON with its lists as tuples, flags sorted and each once; anything else as it is."""
    if not isinstance(value, list | tuple):
        return value
    places = tuple(tuple(each) if isinstance(each, list | tuple) else each for each in value)
    flags = all(isinstance(each, tuple) and [*map(type, each)] == [int, str] for each in places)
    return tuple(sorted(set(places))) if flags else places


def misfit(item: Item, answer: Any) -> str:
    """Why ``answer`` cannot be one to ``item``, in a few words; empty where it can. Names of flags are not checked."""
    places = range(len(item.images))
    last = len(places) - 1
    if item.kind == "rank":
        whole = isinstance(answer, tuple) and all(type(each) is int for each in answer) and sorted(answer) == [*places]
        return "" if whole else f"{answer!r:.80} does not rank the images 0 to {last}, each once"
    if item.kind == "flag":
        named = isinstance(answer, tuple) and all(_is_flag(each) and each[0] in places for each in answer)
        return "" if named else f"{answer!r:.80} is no list of [image from 0 to {last}, flag]"
    if (item.kind == "pair" and answer == TIE) or (type(answer) is int and answer in places):
        return ""
    return f"{answer!r:.80} is no image from 0 to {last}" + (" and no tie" if item.kind == "pair" else "")


def last(votes: Iterable[Vote]) -> list[Vote]:
    """Of each rater, item and question the vote of the highest revision, of equal ones the latest; none taken back.

    They stand in the order in which rater, item and question first came up.
    """
    found: dict[tuple[str, int, str], Vote] = {}
    for vote in votes:
        key = (vote.rater, vote.item, vote.question)
        before = found.setdefault(key, vote)
        if (vote.revision, vote.at) > (before.revision, before.at):
            found[key] = vote
    return [vote for vote in found.values() if vote.answer is not None]


def pseudonym(rater: str) -> str:
    """What a rater is called outside: the same in every export, and no way back to the id without the database."""
    return f"r{sha256_text(f'rater {rater}')[:12]}"


def _is_flag(value: Any) -> bool:
    return isinstance(value, tuple) and [*map(type, value)] == [int, str]
