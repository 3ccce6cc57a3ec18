"""What is to be encoded, and at which size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError
from tastemaker.encode.buckets import bucket_of, bucket_sizes
from tastemaker.encode.cache import EMPTY

if TYPE_CHECKING:
    from tastemaker.data.store import ImageStore
    from tastemaker.encode.geometry import Size
    from tastemaker.rank.pairs import Pair


@dataclass(frozen=True)
class Work:
    """The images and prompts of ranked pairs, each once."""

    images: list[str]
    """Hashes, in the order of the store, which is the fastest to read."""
    prompts: dict[str, str]
    """Hash → prompt, sorted."""


@dataclass(frozen=True)
class Cuts:
    """Which images are cut to which size."""

    images: dict[Size, list[str]]
    """Size in pixels → hashes, sizes sorted, hashes in the order of the store."""
    buckets: dict[str, Size] | None = None
    """Pair id → size, sorted; None where every image is cut square."""


def work_of(pairs: Sequence[Pair], store: ImageStore) -> Work:
    """What ``pairs`` need, and the empty prompt. Raises `UserError` when ``store`` lacks an image."""
    wanted = {sha for pair in pairs for sha in _images(pair)}
    if missing := sorted(wanted - store.shas):
        raise UserError(
            f"image {missing[0]}: not in the data folder ({len(missing)} are not); give the one that was ranked"
        )
    prompts = {pair.prompt_sha: pair.prompt for pair in pairs} | {EMPTY: ""}
    return Work([sha for sha in store.shas if sha in wanted], dict(sorted(prompts.items())))


def images_by_pair(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """Pair id → hashes of its one or two images, both sorted. Raises `UserError` when an id stands for several."""
    found: dict[str, list[str]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.pair_id):
        images = sorted(_images(pair))
        if found.setdefault(pair.pair_id, images) != images:
            raise UserError(
                f"--buckets: pair {pair.pair_id} has other images in another of these folders; "
                "encode each folder of ranked pairs into an --out of its own"
            )
    return found


def square_cuts(work: Work, resolution: int) -> Cuts:
    """Every image cut to its centre square."""
    return Cuts({(resolution, resolution): work.images})


def bucket_cuts(
    work: Work, together: Mapping[str, Sequence[str]], sizes: Mapping[str, Size], resolution: int, factor: int
) -> Cuts:
    """Every image cut to the bucket of each pair that it is in.

    ``together`` is `images_by_pair`, ``sizes`` the images' own by hash, ``factor`` what the autoencoder shrinks by.
    """
    choice = bucket_sizes(resolution, factor)
    buckets = {pair: bucket_of([sizes[sha] for sha in shas], choice) for pair, shas in together.items()}
    members: dict[Size, set[str]] = {}
    for pair, size in buckets.items():
        members.setdefault(size, set()).update(together[pair])
    images = {size: [sha for sha in work.images if sha in members[size]] for size in sorted(members)}
    return Cuts(images, buckets)


def _images(pair: Pair) -> list[str]:
    return [sha for sha in (pair.winner, pair.loser) if sha is not None]
