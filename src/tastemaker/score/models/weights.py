"""A reward model's weights on their way into its modules."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json, sha256_bytes
from tastemaker.score.checkpoint import find_folder, read_tensors
from tastemaker.score.device import Dtype, torch_dtype

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what transformers says about loading off the terminal; what is wrong is raised as an error."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def hollow() -> Iterator[None]:
    """What is built here has parameters without memory, to be put in by `fill`; its buffers are computed as ever."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        yield


def fill(scorer: str, path: Path, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put ``tensors`` in place of the parameters of ``model``, and set it to evaluation.

    Raises `UserError` that names the first tensor that ``path`` lacks, has too many, or has in another shape.
    """
    wanted = model.state_dict()
    if missing := sorted(wanted.keys() - tensors.keys()):
        raise UserError(f"{scorer}: {path}: lacks {missing[0]} ({len(missing)} missing); is it another model's?")
    if surplus := sorted(tensors.keys() - wanted.keys()):
        raise UserError(f"{scorer}: {path}: has an unexpected {surplus[0]} ({len(surplus)} such); another model's?")
    for name, own in wanted.items():
        if own.shape != tensors[name].shape:
            shapes = f"{list(tensors[name].shape)}, not {list(own.shape)}"
            raise UserError(f"{scorer}: {path}: {name} has the shape {shapes}; is it another model's?")
    model.load_state_dict(dict(tensors), assign=True)
    model.eval().requires_grad_(False)


def sizes(scorer: str, path: Path, tensors: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    """The shape of the tensor ``name``; raises `UserError` where ``path`` lacks it or has other ``dimensions``."""
    if name not in tensors:
        raise UserError(f"{scorer}: {path}: lacks {name}; is it another model's?")
    shape = tuple(tensors[name].shape)
    if len(shape) != dimensions:
        raise UserError(f"{scorer}: {path}: {name} has the shape {list(shape)}; is it another model's?")
    return shape


def layers(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many layers ``prefix``0., ``prefix``1., … there are: one more than the highest number."""
    found = [name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)]
    return 1 + max((int(number) for number in found if number.isdecimal()), default=-1)


def one_line(error: Exception) -> str:
    """What an error says, on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def tensors_in(scorer: str, paths: Sequence[Path], dtype: Dtype) -> dict[str, Tensor]:
    """The state dict that lies in ``paths`` together, in ``dtype``; safetensors are never whole in memory twice.

    Raises `UserError` for a file that is something else.
    """
    found: dict[str, Tensor] = {}
    for path in paths:
        rows = _streamed(scorer, path) if path.suffix == ".safetensors" else iter(read_tensors(scorer, path).items())
        for name, tensor in rows:
            found[name] = tensor.to(torch_dtype(dtype)) if tensor.is_floating_point() else tensor
    return found


def _streamed(scorer: str, path: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{scorer}: {path}: not readable as weights ({one_line(error)})") from None


def weight_files(scorer: str, checkpoint: str, *others: str) -> tuple[Path, ...]:
    """The weights in a folder or at a hub id, whole or in shards, safetensors before pickles.

    ``others`` are patterns of files to fetch with them. Raises `UserError` where there are none.
    """
    for ending in (".safetensors", ".bin"):
        folder = find_folder(scorer, checkpoint, *others, f"*{ending}", f"*{ending}.index.json")
        if found := sorted(folder.glob(f"*{ending}")):
            return _of_the_index(scorer, folder, found)
    raise UserError(f"{scorer}: {checkpoint}: no weights there (.safetensors or .bin)")


def _of_the_index(scorer: str, folder: Path, found: list[Path]) -> tuple[Path, ...]:
    """Shards as their index lists them, so that one that was not copied is missed."""
    for index in sorted(folder.glob(f"*{found[0].suffix}.index.json")):
        listed = read_json(index)
        names = listed.get("weight_map", {}) if isinstance(listed, dict) else {}
        wanted = [folder / name for name in sorted(set(names.values()))]
        if absent := [path for path in wanted if path not in found]:
            raise UserError(f"{scorer}: {absent[0]} is missing, though {index.name} lists it; copy it there")
        return tuple(wanted)
    return tuple(found)


def distinct(rows: np.ndarray) -> tuple[list[int], list[int]]:
    """Where each distinct row of ``rows`` stands first, and for every row which of these it equals bit for bit."""
    seen: dict[str, int] = {}
    first: list[int] = []
    place = []
    for index, row in enumerate(rows):
        place.append(seen.setdefault(sha256_bytes(row.tobytes()), len(seen)))
        if len(seen) > len(first):
            first.append(index)
    return first, place
