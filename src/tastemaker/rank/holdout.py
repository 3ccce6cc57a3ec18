"""Prompts that evaluation will ask for must not be trained on: which pairs have one of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tastemaker.base.files import sha256_text

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from tastemaker.rank.codes import Coded


@dataclass(frozen=True)
class Holdout:
    """Prompts that are kept for evaluation, normalised; make it with `held_out`."""

    prompts: frozenset[str]

    def as_json(self) -> dict[str, Any]:
        """How many there are and their common sha256: for metadata and the fingerprint."""
        return {"prompts": len(self.prompts), "sha256": sha256_text("\n".join(sorted(self.prompts)))}

    def has(self, coded: Coded) -> np.ndarray:
        """bool [n]: the comparisons whose prompt is held out."""
        import numpy as np

        first = np.unique(coded.prompt, return_index=True)[1]  # a row of each prompt, by code
        texts: pa.ChunkedArray = coded.table["prompt"].take(first)
        held = np.array([normalised(text) in self.prompts for text in texts.to_pylist()], bool)
        return np.asarray(held[coded.prompt])


def held_out(prompts: Iterable[str]) -> Holdout:
    """A holdout of these prompts."""
    return Holdout(frozenset(map(normalised, prompts)))


def normalised(prompt: str) -> str:
    """Equal for prompts that differ in case, width, composition of letters or white space: NFKC, casefold, one space.

    Casefolding can undo the normal form, so it is made again.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", prompt).casefold())
    return " ".join(folded.split())
