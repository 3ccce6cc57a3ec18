"""One judgement: which of two images of a prompt somebody likes better, or whether somebody likes one image."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, get_args

from tastemaker.base.files import sha256_text

Label = Literal["a", "b", "tie", "liked", "disliked"]
LABELS: tuple[Label, ...] = get_args(Label)
SINGLES: tuple[Label, ...] = ("liked", "disliked")
SHARE_STEPS = 1 << 24
OPPOSITE: dict[Label, Label] = {"a": "b", "b": "a", "liked": "disliked", "disliked": "liked"}
"""The label that contradicts; a tie contradicts nothing."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A judged pair, or one judged image. ``image_a`` and ``image_b`` are the hex SHA-256 of the encoded image bytes.

    ``label`` names the better image, or "tie"; of one image alone (``image_b`` None) it is "liked" or "disliked" and
    says what people think of ``image_a``. ``source`` is the file it was read from; ``judge``, ``model_a`` and
    ``model_b`` (who judged, what made the images) are empty where the source does not say.

    ``share`` is the share of the votes, or of the preference, that ``image_a`` got, in [0, 1], and ``label`` is then
    `label_of` it; None where the source says only who won. ``votes`` is the number of people behind it, where known.
    """

    pair_id: str
    prompt: str
    image_a: str
    image_b: str | None
    label: Label
    source: str = ""
    judge: str = ""
    model_a: str = ""
    model_b: str = ""
    share: float | None = None
    votes: int | None = None

    @property
    def prompt_sha(self) -> str:
        """Hex SHA-256 of the prompt's UTF-8."""
        return sha256_text(self.prompt)

    @property
    def images(self) -> tuple[str, ...]:
        """The one or two images."""
        return (self.image_a,) if self.image_b is None else (self.image_a, self.image_b)

    def swap(self) -> Comparison:
        """The same judgement with the two images in the other order (share → 1 − share); one image alone stays."""
        if self.image_b is None:
            return self
        return replace(
            self,
            image_a=self.image_b,
            image_b=self.image_a,
            label=OPPOSITE.get(self.label, self.label),
            model_a=self.model_b,
            model_b=self.model_a,
            share=None if self.share is None else 1 - self.share,
        )


def label_of(share: float) -> Label:
    """The label of a pair whose first image got ``share`` of the preference: above 0.5 `a`, below `b`, else `tie`."""
    return "a" if share > 0.5 else "b" if share < 0.5 else "tie"


def to_share(value: float) -> float:
    """``value`` on the grid of 2⁻²⁴, where both it and 1 − it are exact in float32, the type on disk.

    So a share is the same before and after it is written, and after `Comparison.swap` twice. Raises `ValueError`
    outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{value!r} is no share of the preference, which lies between 0 and 1")
    return round(value * SHARE_STEPS) / SHARE_STEPS


def parse_label(value: object) -> Label | None:
    """The label people mean: `a`, `left` or 1 the first image, `b`, `right` or 0 the second, `tie` or 0.5 neither.

    A number is the share of the preference that the *first* image has, as in Pick-a-Pic's `label_0`.
    None for a missing label (nothing, an empty text, NaN). Raises `ValueError` for anything else.
    """
    return _parse(value, _WORDS, _SHARES, "a, b, tie, left, right, 1, 0, 0.5")


def parse_verdict(value: object) -> Label | None:
    """What people mean by one image's verdict: `true`, `liked` or 1 is liked, `false`, `disliked` or 0 is disliked.

    That includes the `label` of TRL's KTO data sets. None for a missing verdict (nothing, an empty text, NaN). Raises
    `ValueError` for anything else.
    """
    return _parse(value, _VERDICTS, _ONE_OR_ZERO, "true, false, liked, disliked, 1, 0")


def _parse(value: object, words: dict[str, Label], numbers: dict[float, Label], known: str) -> Label | None:
    text = str(value).strip().lower()
    if value is None or text in ("", "nan"):
        return None
    if text in words:
        return words[text]
    with suppress(ValueError, KeyError):
        return numbers[float(text)]
    raise ValueError(f"{value!r} is none of {known}")


_WORDS: dict[str, Label] = {"a": "a", "left": "a", "b": "b", "right": "b", "tie": "tie"}
_SHARES: dict[float, Label] = {1.0: "a", 0.0: "b", 0.5: "tie"}
_VERDICTS: dict[str, Label] = {"true": "liked", "liked": "liked", "false": "disliked", "disliked": "disliked"}
_ONE_OR_ZERO: dict[float, Label] = {1.0: "liked", 0.0: "disliked"}
