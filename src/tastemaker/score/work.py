"""What there is to score: the distinct (image, prompt) that the comparisons of a data folder name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_file
from tastemaker.data.store import COMPARISONS, read_comparisons
from tastemaker.score.scores import Key

Work = dict[str, dict[str, str]]
"""Image sha → prompt sha → prompt; images in the order of the comparisons, which is the order of the store."""


def wanted(data: Path) -> Work:
    """All distinct (image, prompt) of ``data``; raises `UserError` when there is none."""
    work: Work = {}
    for comparison in read_comparisons(data):
        prompt_sha = comparison.prompt_sha
        for sha in comparison.images:
            work.setdefault(sha, {})[prompt_sha] = comparison.prompt
    if not work:
        raise UserError(f"{data}: there are no comparisons here; import some with: tastemaker import")
    return work


def comparisons_sha(data: Path) -> str:
    """Hex SHA-256 of the comparisons of ``data``: by it a verb knows that it has seen them before."""
    path = data / COMPARISONS
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with: tastemaker import SOURCE --out {data}")
    return sha256_file(path)


def keys(work: Work) -> set[Key]:
    """Its (image sha, prompt sha)."""
    return {(sha, prompt_sha) for sha, prompts in work.items() for prompt_sha in prompts}


def without(work: Work, done: Collection[Key]) -> Work:
    """``work`` less what is ``done``."""
    left = {
        sha: {prompt_sha: prompt for prompt_sha, prompt in prompts.items() if (sha, prompt_sha) not in done}
        for sha, prompts in work.items()
    }
    return {sha: prompts for sha, prompts in left.items() if prompts}


def shards(work: Work, rows: int) -> Iterator[Work]:
    """Cut ``work`` into parts of about ``rows`` (image, prompt); the prompts of one image stay together."""
    shard: Work = {}
    size = 0
    for sha, prompts in work.items():
        shard[sha] = prompts
        size += len(prompts)
        if size >= rows:
            yield shard
            shard, size = {}, 0
    if shard:
        yield shard
