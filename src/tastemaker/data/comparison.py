"""One judgement: which of two images of a prompt somebody likes better."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, get_args

from tastemaker.base.files import sha256_text

Label = Literal["a", "b", "tie"]
LABELS: tuple[Label, ...] = get_args(Label)
SWAPPED: dict[Label, Label] = {"a": "b", "b": "a", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A judged pair. ``image_a`` and ``image_b`` are the hex SHA-256 of the encoded image bytes.

    ``label`` names the better image, or "tie". ``source`` is the file it was read from; ``judge``, ``model_a`` and
    ``model_b`` (who judged, what made the images) are empty where the source does not say.
    """

    pair_id: str
    prompt: str
    image_a: str
    image_b: str
    label: Label
    source: str = ""
    judge: str = ""
    model_a: str = ""
    model_b: str = ""

    @property
    def prompt_sha(self) -> str:
        """Hex SHA-256 of the prompt's UTF-8."""
        return sha256_text(self.prompt)

    def swap(self) -> Comparison:
        """The same judgement with the two images in the other order."""
        return replace(
            self,
            image_a=self.image_b,
            image_b=self.image_a,
            label=SWAPPED[self.label],
            model_a=self.model_b,
            model_b=self.model_a,
        )


def parse_label(value: object) -> Label | None:
    """The label people mean: `a`, `left` or 1 the first image, `b`, `right` or 0 the second, `tie` or 0.5 neither.

    A number is the share of the preference that the *first* image has, as in Pick-a-Pic's `label_0`.
    None for a missing label (nothing, an empty text, NaN). Raises `ValueError` for anything else.
    """
    text = str(value).strip().lower()
    if value is None or text in ("", "nan"):
        return None
    if text in _WORDS:
        return _WORDS[text]
    with suppress(ValueError, KeyError):
        return _SHARES[float(text)]
    raise ValueError(f"{value!r} is none of a, b, tie, left, right, 1, 0, 0.5")


_WORDS: dict[str, Label] = {"a": "a", "left": "a", "b": "b", "right": "b", "tie": "tie"}
_SHARES: dict[float, Label] = {1.0: "a", 0.0: "b", 0.5: "tie"}
