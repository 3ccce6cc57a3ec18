"""What a trunk made of the images, kept: a later scorer on the same trunk is a dot product and decodes nothing.

`DATA/embeddings/<trunk id>/images-*.parquet` holds `sha` and `embedding` (float32 [D], as the trunk gave it, so that a
score read off it is the same in every bit).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, sha256_text
from tastemaker.score.scores import slug

FOLDER = "embeddings"


class Embeddings:
    """The stored embeddings of ``trunks`` (ids); what was written before it was opened is found."""

    def __init__(self, data: Path, trunks: frozenset[str]) -> None:
        self._folders = {trunk: data / FOLDER / slug(trunk) for trunk in trunks}
        self._shard = {trunk: _index(folder) for trunk, folder in self._folders.items()}

    def has(self, sha: str) -> bool:
        """Whether every trunk has seen the image."""
        return bool(self._shard) and all(sha in shards for shards in self._shard.values())

    def read(self, trunk: str, shas: Iterable[str]) -> dict[str, np.ndarray]:
        """float32 [D] of those images that ``trunk`` has seen."""
        places = self._shard[trunk]
        return {sha: _read(places[sha])[sha] for sha in shas if sha in places}

    def write(self, trunk: str, known: Mapping[str, np.ndarray]) -> None:
        """Keep what is new of ``known``, durably."""
        fresh = {sha: vector for sha, vector in known.items() if sha not in self._shard[trunk]}
        if not fresh:
            return
        path = self._folders[trunk] / f"images-{sha256_text(' '.join(fresh))[:16]}.parquet"
        matrix = np.stack(list(fresh.values())).astype(np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
        with atomic_file(path) as temporary:
            pq.write_table(pa.table({"sha": list(fresh), "embedding": column}), temporary)


def _index(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("images-*.parquet")):
        found.update(dict.fromkeys(_table(path, ["sha"])["sha"].to_pylist(), path))
    return found


@lru_cache(8)
def _read(path: Path) -> dict[str, np.ndarray]:
    table = _table(path, ["sha", "embedding"]).combine_chunks()
    vectors = np.asarray(pc.list_flatten(table["embedding"])).reshape(len(table), -1)
    return dict(zip(table["sha"].to_pylist(), vectors, strict=True))


def _table(path: Path, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it, its images will be looked at again") from None
