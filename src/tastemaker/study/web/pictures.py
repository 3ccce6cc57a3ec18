"""Images as raters get them: made anew, so that nothing but what is to be seen tells one model from another.

All images of a task are brought into the same box and written in the same way, whatever they were before.
"""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.data.images import decode
from tastemaker.study import design as designs
from tastemaker.study.vote import Item

if TYPE_CHECKING:
    from tastemaker.data.store import ImageStore

MEDIA_TYPE = "image/webp"
CACHED_BYTES = 256 << 20
AT_ONCE = min(4, os.cpu_count() or 1)
"""Images made at the same time: each needs some hundred megabytes when it is very large."""
Box = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Shelf:
    """The images of one study, read by one thread at a time."""

    store: ImageStore
    sizes: dict[str, tuple[int, int]]
    """Of every image height and width in pixels."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, sha: str) -> bytes:
        """The image as it was found."""
        with self.lock:
            return self.store.read(sha)

    def box(self, item: Item) -> Box:
        """The smallest width and the smallest height of the images of ``item``."""
        heights, widths = zip(*(self.sizes[image.sha] for image in item.images), strict=True)
        return min(widths), min(heights)


@dataclass(frozen=True)
class Pictures:
    """The images of studies by their folders; the last ones are kept, up to ``most`` bytes. For many threads."""

    most: int = CACHED_BYTES
    _shelves: dict[Path, Shelf] = field(default_factory=dict)
    _kept: OrderedDict[tuple[Path, str, Box], bytes] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _makers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    def picture(self, study: Path, item: Item, place: int) -> bytes:
        """The image at ``place`` of an ``item`` of ``study``, blinded.

        Raises `UserError` or `data.images.ImageProblem`, whose words name folder and image, when it cannot be read.
        """
        shelf = self._shelf(study)
        sha, box = item.images[place].sha, shelf.box(item)
        key = (study, sha, box)
        found = self._find(key)
        if found is None:
            with self._makers:
                found = self._find(key) or blinded(shelf.read(sha), box)  # made meanwhile, or by us
            self._keep(key, found)
        return found

    def _shelf(self, study: Path) -> Shelf:
        from tastemaker.data.store import ImageStore

        with self._lock:
            if study not in self._shelves:
                store = ImageStore(study / designs.DATA)
                self._shelves[study] = Shelf(store, store.sizes())
            return self._shelves[study]

    def _find(self, key: tuple[Path, str, Box]) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[Path, str, Box], image: bytes) -> None:
        with self._lock:
            self._kept[key] = image
            self._kept.move_to_end(key)
            while sum(map(len, self._kept.values())) > self.most:
                self._kept.popitem(last=False)


def blinded(data: bytes, box: Box) -> bytes:
    """An encoded image as lossless WebP that fits into ``box``, never enlarged, without anything beside its pixels.

    Raises `data.images.ImageProblem`.
    """
    from PIL import Image

    seen = decode(data)
    seen.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=None)
    bare = Image.new("RGB", seen.size)  # has neither EXIF nor a profile nor texts
    bare.paste(seen)
    written = io.BytesIO()
    bare.save(written, "WEBP", lossless=True, method=2, quality=20)
    return written.getvalue()
