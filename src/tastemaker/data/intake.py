"""One row at a time into the store, or into quarantine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

from tastemaker.base.files import sha256_bytes, sha256_text
from tastemaker.data.comparison import Comparison
from tastemaker.data.images import EXTENSIONS, Facts, ImageProblem, inspect
from tastemaker.data.journal import Journal
from tastemaker.data.prompts import LONG_CHARACTERS, prompt_problem
from tastemaker.data.readers.row import Problem, Row, Side, Unreadable
from tastemaker.data.store import ImageWriter

WINDOW_ROWS = 64
WINDOW_BYTES = 32 << 20
THREADS = min(8, os.cpu_count() or 1)


class Examined(NamedTuple):
    """An image, its sha, and what decoding it said; None where an earlier row has put it into the store."""

    sha: str
    finding: Facts | ImageProblem | None


Images = dict[bytes, Examined]


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes rows in order. ``pool`` hashes and decodes images; everything else happens in the caller's thread."""

    journal: Journal
    writer: ImageWriter
    pool: Executor

    def take(self, window: list[Row | Unreadable]) -> None:
        """Put every row of ``window`` into the store or into quarantine."""
        images = self._examine(window)
        for row in window:
            self.journal.counts["rows"] += 1
            if isinstance(row, Unreadable):
                self._refuse(row, [row.problem])
            elif problems := list(_problems(row, images)):
                self._refuse(row, problems)
            else:
                self._judge(row, images)

    def _examine(self, window: list[Row | Unreadable]) -> Images:
        """Hash every distinct image, and decode those that are met for the first time."""
        distinct = list(dict.fromkeys(image for row in window for _, image in _images(row)))
        shas = list(self.pool.map(sha256_bytes, distinct))
        known = {image: self.journal.image(sha) for image, sha in zip(distinct, shas, strict=True)}
        fresh = [image for image, finding in known.items() if finding is False]
        findings = dict(zip(fresh, self.pool.map(_inspect, fresh), strict=True))
        for image, sha in zip(distinct, shas, strict=True):
            if isinstance(finding := findings.get(image), ImageProblem):
                self.journal.add_image(sha, finding)
            elif isinstance(earlier := known[image], ImageProblem):
                findings[image] = earlier
        return {image: Examined(sha, findings.get(image)) for image, sha in zip(distinct, shas, strict=True)}

    def _refuse(self, row: Row | Unreadable, problems: Iterable[Problem]) -> None:
        self.journal.counts["quarantined"] += 1
        for problem in problems:
            self.journal.add_quarantine(row.source, row.place.row, problem)

    def _judge(self, row: Row, images: Images) -> None:
        """Keep a row without problems, unless it says again what has been said."""
        comparison = _comparison(row, images)
        earlier = self.journal.earlier(comparison)
        if earlier.repeats:
            order = f", images in the {'other' if earlier.swapped else 'same'} order" if row.b else ""
            reason = "repeat_swapped" if earlier.swapped else "repeat"
            self._refuse(row, [Problem("", reason, f"{earlier.repeats} says the same{order}")])
            return
        for side in row.sides:
            self._store(side, images)
        self.journal.add_comparison(comparison, f"{row.source}:{row.place.row}")
        counts = {
            "pairs": row.b is not None,
            "ties": comparison.label == "tie",
            "shares": comparison.share is not None,
            "liked": comparison.label == "liked",
            "disliked": comparison.label == "disliked",
            "confirmed": earlier.confirmed,
            "contradicted": earlier.contradicted,
            "note long_prompt": len(comparison.prompt) > LONG_CHARACTERS,
        }
        self.journal.counts.update(name for name, is_so in counts.items() if is_so)

    def _store(self, side: Side, images: Images) -> None:
        """Write an image that is not in the store yet."""
        image, (sha, facts) = _image(side, images)
        if not isinstance(facts, Facts) or self.journal.image(sha):
            return
        self.writer.add(sha, image, facts.format, facts.width, facts.height)
        self.journal.add_image(sha)
        notes = [*facts.notes, *["wrong_extension"] * (EXTENSIONS.get(side.extension, facts.format) != facts.format)]
        counts = self.journal.counts
        counts.update({"images": 1, "image_bytes": len(image), f"format {facts.format}": 1})
        counts.update(f"note {note}" for note in notes)


def windows(rows: Iterable[Row | Unreadable]) -> Iterator[list[Row | Unreadable]]:
    """Rows in lists that are small enough to hold in memory."""
    window: list[Row | Unreadable] = []
    held = 0
    for row in rows:
        window.append(row)
        held += sum(len(image) for _, image in _images(row))
        if len(window) >= WINDOW_ROWS or held >= WINDOW_BYTES:
            yield window
            window, held = [], 0
    if window:
        yield window


def _images(row: Row | Unreadable) -> list[tuple[Side, bytes]]:
    sides = () if isinstance(row, Unreadable) else row.sides
    return [(side, side.image) for side in sides if isinstance(side.image, bytes)]


def _image(side: Side, images: Images) -> tuple[bytes, Examined]:
    assert isinstance(side.image, bytes), "a row with a missing image has a problem"
    return side.image, images[side.image]


def _inspect(image: bytes) -> Facts | ImageProblem:
    try:
        return inspect(image)
    except ImageProblem as problem:
        return problem


def _problems(row: Row, images: Images) -> Iterator[Problem]:
    """Everything that is wrong with a row."""
    if isinstance(row.prompt, Problem):
        yield row.prompt
    elif found := prompt_problem(row.prompt):
        yield Problem("prompt", *found)
    for side in row.sides:
        if isinstance(side.image, Problem):
            yield side.image
        elif isinstance(finding := images[side.image].finding, ImageProblem):
            yield Problem(side.field, finding.reason, finding.detail)
    if row.b is not None and isinstance(row.a.image, bytes) and row.a.image == row.b.image:
        yield Problem(row.b.field, "same_image", "both images of the pair are the same")
    if isinstance(row.label, Problem):
        yield row.label


def _comparison(row: Row, images: Images) -> Comparison:
    assert isinstance(row.prompt, str), row.prompt
    assert not isinstance(row.label, Problem), row.label
    shas = [_image(side, images)[1].sha for side in row.sides]
    part = [row.place.part] if row.place.part else []  # so that the ids of other rows stay what they were
    name = json.dumps([row.prompt, *shas, row.source, row.place.row, *part])
    return Comparison(
        pair_id=sha256_text(name)[:32],
        prompt=row.prompt,
        image_a=shas[0],
        image_b=shas[1] if row.b else None,
        label=row.label,
        source=row.source,
        judge=row.judge,
        model_a=row.a.model,
        model_b=row.b.model if row.b else "",
        share=row.share,
        votes=row.votes,
    )
