"""The verb ``encode``: every distinct image and prompt of ranked pairs goes through the model's encoders once.

What a shard holds is a function of the model, the pairs and the images alone, and its header says which: a stopped run
goes on after its last whole shard and ends in the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tastemaker.base.errors import UserError
from tastemaker.base.files import atomic_file, clear_temporaries, locked, write_json
from tastemaker.base.progress import bar
from tastemaker.base.summary import fingerprint, finish, finished
from tastemaker.encode.cache import EMPTY, INDEX, shard_path

if TYPE_CHECKING:
    from torch import Tensor
    from tqdm import tqdm

    from tastemaker.backbone.backbone import Backbone
    from tastemaker.data.store import ImageStore

Tensors = dict[str, "Tensor"]
T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """What is to be encoded. A key's shard and row follow from its place here."""

    images: list[str]
    """Hashes of the images, in the order of the store, which is the fastest to read."""
    prompts: dict[str, str]
    """Hash → prompt, sorted."""
    shard_rows: int


def encode(
    ranked: Sequence[Path],
    data: Path,
    model: str,
    out: Path,
    resolution: int | None = None,
    *,
    revision: str | None = None,
    batch_size: int = 8,
    shard_rows: int = 512,
    device: str = "auto",
) -> dict[str, Any]:
    """Encode the images and prompts of the ``ranked`` pairs, and the empty prompt, with ``model`` into ``out``.

    The encoders run in float32, whatever training runs in. Images are cut to their centre square and resized to
    ``resolution`` pixels, by default the model's own. Returns the summary. Raises `UserError` when an input is missing,
    an image cannot be decoded any more, or ``out`` holds something else.
    """
    from tastemaker.backbone.load import identity, load
    from tastemaker.data.store import ImageStore

    started = time.monotonic()
    if not ranked:
        raise UserError("encode: no pairs given; give one or more output folders of `tastemaker rank`")
    for option, value in (("--batch-size", batch_size), ("--shard-rows", shard_rows)):
        if value < 1:
            raise UserError(f"{option} {value}: must be at least 1")
    key, store = identity(model, revision), ImageStore(data)
    work = _work(ranked, store, shard_rows)
    mark = fingerprint(model_key=key, resolution=resolution, work=vars(work))
    with locked(out):
        if (summary := finished(out, mark)) is not None:
            return summary
        clear_temporaries(out)
        backbone = load(model, revision=revision, device=device)
        writer = Writer(out, backbone, store, work, resolution or backbone.resolution, mark, batch_size)
        writer.write_all()
        write_json(out / INDEX, _index(model, key, backbone, writer.resolution, work))
        return finish(
            out,
            "encode",
            started,
            model=model,
            model_key=key,
            resolution=writer.resolution,
            latent_shape=backbone.latent_shape(writer.resolution),
            images=len(work.images),
            prompts=len(work.prompts),
            fingerprint=mark,
        )


@dataclass(frozen=True)
class Writer:
    """Writes the shards of ``work`` that ``out`` does not have yet."""

    out: Path
    backbone: Backbone
    store: ImageStore
    work: Work
    resolution: int
    mark: str
    """Fingerprint of everything that decides the cache; stands in every shard's header."""
    batch_size: int

    def write_all(self) -> None:
        """Images first, then prompts; raises `UserError` for a shard of other inputs."""
        self.backbone.latent_shape(self.resolution)
        self._write("images", self.work.images, self._encode_images)
        self._write("prompts", list(self.work.prompts), self._encode_prompts)

    def _write(self, kind: str, keys: list[str], run: Callable[[list[str]], Tensors]) -> None:
        shards = dict(enumerate(_chunks(keys, self.work.shard_rows)))
        missing = {n: rows for n, rows in shards.items() if not _is_written(shard_path(self.out, kind, n), self.mark)}
        progress: tqdm[None]
        with bar((), f"encode {kind}", total=sum(map(len, missing.values())), unit=kind[:-1]) as progress:
            for number, rows in missing.items():
                batches = []
                for batch in _chunks(rows, self.batch_size):
                    batches.append(run(batch))
                    progress.update(len(batch))
                _save(shard_path(self.out, kind, number), _joined(batches), self.mark)

    def _encode_images(self, shas: list[str]) -> Tensors:
        import torch

        found = dict(self.store.read_many(shas))
        moments = self.backbone.encode(torch.stack([self._pixels(sha, found[sha]) for sha in shas]))
        return moments._asdict()

    def _encode_prompts(self, keys: list[str]) -> Tensors:
        return self.backbone.condition([self.work.prompts[key] for key in keys])

    def _pixels(self, sha: str, data: bytes) -> Tensor:
        import torch

        from tastemaker.data.images import ImageProblem, decode, to_pixels

        try:
            return torch.from_numpy(to_pixels(decode(data), self.resolution))
        except ImageProblem as problem:
            raise UserError(f"image {sha}: {problem.reason} ({problem.detail}); import the data again") from problem


def _work(ranked: Sequence[Path], store: ImageStore, shard_rows: int) -> Work:
    from tastemaker.rank.pairs import read_pairs

    pairs = [pair for folder in ranked for pair in read_pairs(folder)]
    wanted = {sha for pair in pairs for sha in (pair.winner, pair.loser)}
    if missing := sorted(wanted - store.shas):
        raise UserError(
            f"image {missing[0]}: not in the data folder ({len(missing)} are not); give the one that was ranked"
        )
    prompts = {pair.prompt_sha: pair.prompt for pair in pairs} | {EMPTY: ""}
    return Work([sha for sha in store.shas if sha in wanted], dict(sorted(prompts.items())), shard_rows)


def _index(model: str, key: str, backbone: Backbone, resolution: int, work: Work) -> dict[str, Any]:
    return {
        "model": model,
        "model_key": key,
        "resolution": resolution,
        "scaling_factor": backbone.scaling_factor,
        "latent_shape": list(backbone.latent_shape(resolution)),
        "images": _places(work.images, work.shard_rows),
        "prompts": _places(work.prompts, work.shard_rows),
    }


def _places(keys: Iterable[str], rows: int) -> dict[str, tuple[int, int]]:
    """Key → (shard, row)."""
    return {key: divmod(place, rows) for place, key in enumerate(keys)}


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


def _chunks(items: list[T], size: int) -> list[list[T]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
