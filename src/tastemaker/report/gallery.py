"""Images for the page: the best and worst pairs, and the same prompts drawn by several models."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tastemaker.base import draw
from tastemaker.report.page import Gallery, Picture, Strip

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN, SPOKEN = 500, 150
"""Longest prompt shown above images, and in their descriptions, in characters."""
LARGEST = 384
"""Longest side in pixels of an image in the page; larger ones are made smaller."""


def picture(image: Image, *, alt: str, label: str, lines: tuple[str, ...] = (), mark: str = "") -> Picture:
    """``image`` inside the page: as it is (PNG) up to 128 pixels, else as WebP of at most `LARGEST`."""
    image = image.copy()
    image.thumbnail((LARGEST, LARGEST))
    kind, options = ("png", {}) if max(image.size) <= 128 else ("webp", {"quality": 84, "method": 4})
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    source = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Picture(source, *image.size, alt=alt, label=label, lines=lines, mark=mark)


def shorten(text: str, most: int) -> str:
    """``text``, cut to ``most`` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def pairs(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    data: Path,
    caption: str = "",
    raw: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType({}),
) -> Gallery:
    """Winner and loser of each row of a pairs.parquet, or the one image, with ψ and Q; images come from ``data``.

    ``raw`` are more lines for an (image, prompt_sha), such as its raw scores.
    """
    from tastemaker.data.images import decode
    from tastemaker.data.store import ImageStore

    wanted = {row[role] for row in rows for role in _roles(row)}
    images = {sha: decode(content) for sha, content in ImageStore(data).read_many(wanted)}
    strips = [
        Strip(
            shorten(row["prompt"], SHOWN),
            tuple(
                picture(
                    images[row[role]],
                    alt=shorten(f"{label} for: {row['prompt']}", SPOKEN),
                    label=label,
                    lines=(f"ψ {row[f'psi_{role}']:.3f}", *raw.get((row[role], row["prompt_sha"]), ())),
                    mark="good" if role == "winner" else "bad",
                )
                for role, label in _roles(row).items()
            ),
            f"Q {row['quality']:.3f}",
        )
        for row in rows
    ]
    return Gallery(title, tuple(strips), caption)


def _roles(row: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a row that hold an image, and what it is called."""
    if row["loser"] is None:
        return {"winner": "liked"}
    return {"loser": "disliked"} if row["winner"] is None else {"winner": "winner", "loser": "loser"}


@dataclass(frozen=True)
class Drawn:
    """A model's images: its name, its IMAGES folder, and scores by (prompt_index, sample, scorer)."""

    name: str
    folder: Path
    scores: Mapping[tuple[int, int, str], float]


def models(title: str, drawn: Sequence[Drawn], prompts: Sequence[int], caption: str = "") -> Gallery:
    """The first sample of each prompt (by index) as every model drew it, side by side, with its scores."""
    from tastemaker.evaluate.images import first_samples

    found = [first_samples(model.folder, prompts) for model in drawn]
    strips = [
        Strip(
            shorten(found[0][index][0], SHOWN),
            tuple(
                picture(
                    images[index][1],
                    alt=shorten(f"{model.name} for: {images[index][0]}", SPOKEN),
                    label=model.name.replace("_", "_\u200b"),  # a narrow column breaks there, not within a word
                    lines=_scores(model, index),
                )
                for model, images in zip(drawn, found, strict=True)
            ),
        )
        for index in prompts
    ]
    scorers = dict.fromkeys(scorer.partition("@")[0] for _, _, scorer in drawn[0].scores)
    legend = f" Under each image: {', '.join(scorers)}." if scorers else ""
    return Gallery(title, tuple(strips), caption + legend)


def some(count: int, most: int, seed: int = 0) -> list[int]:
    """At most ``most`` of ``count`` prompts, drawn by ``seed`` alone, in ascending order."""
    return sorted(draw.numbers(seed, "report", "gallery").permutation(count)[:most].tolist())


def _scores(model: Drawn, index: int) -> tuple[str, ...]:
    scores = {
        scorer: value for (prompt, sample, scorer), value in model.scores.items() if (prompt, sample) == (index, 0)
    }
    return tuple(f"{value:#.3g}" for value in scores.values())
