"""Files of tensors whose rows belong to keys: written whole or not at all, and recognised by what decided them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file
from tastemaker.base.progress import bar
from tastemaker.encode.cache import shard_path

if TYPE_CHECKING:
    from torch import Tensor
    from tqdm import tqdm

Tensors = dict[str, "Tensor"]
T = TypeVar("T")


def write_shards(
    out: Path, kind: str, shards: Sequence[list[T]], run: Callable[[list[T]], Tensors], batch_size: int, mark: str
) -> None:
    """Write the shards that ``out`` does not have yet; ``run`` makes the rows of up to ``batch_size`` items.

    ``mark`` is the fingerprint of everything that decides the cache; it stands in every shard's header. Raises
    `UserError` for a shard that is damaged or bears another one.
    """
    missing = {n: rows for n, rows in enumerate(shards) if not _is_written(shard_path(out, kind, n), mark)}
    progress: tqdm[None]
    with bar((), f"encode {kind}", total=sum(map(len, missing.values())), unit=kind[:-1]) as progress:
        for number, rows in missing.items():
            batches = []
            for batch in chunks(rows, batch_size):
                batches.append(run(batch))
                progress.update(len(batch))
            _save(shard_path(out, kind, number), _joined(batches), mark)


def places(shards: Sequence[Sequence[T]]) -> dict[T, tuple[int, int]]:
    """Item → (shard, row)."""
    return {item: (number, row) for number, rows in enumerate(shards) for row, item in enumerate(rows)}


def chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """``items`` in runs of ``size``, the last one shorter."""
    return [list(items[at : at + size]) for at in range(0, len(items), size)]


def _is_written(path: Path, mark: str) -> bool:
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get("fingerprint")
    except SafetensorError as error:
        raise UserError(f"{path}: damaged; remove it and run the same command again") from error
    if found != mark:
        raise UserError(f"{path.parent}: holds an unfinished cache of other inputs; choose another --out or remove it")
    return True


def _save(path: Path, tensors: Tensors, mark: str) -> None:
    """One header entry alone: safetensors writes several in random order."""
    from safetensors.torch import save_file

    with atomic_file(path) as temporary:
        save_file(tensors, temporary, {"fingerprint": mark})


def _joined(batches: Sequence[Tensors]) -> Tensors:
    import torch

    return {name: torch.cat([batch[name].cpu() for batch in batches]).contiguous() for name in batches[0]}
