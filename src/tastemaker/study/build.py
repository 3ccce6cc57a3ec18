"""Making a study: tasks from generated images, from a data folder or from a round, in a drawn order, on disk.

Images are copied, so that `STUDY/` needs nothing outside itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tastemaker.base import draw, files
from tastemaker.base.errors import UserError
from tastemaker.data.comparison import Comparison
from tastemaker.data.images import ImageProblem
from tastemaker.data.store import ImageStore, read_comparisons, write_images
from tastemaker.evaluate import generating, images
from tastemaker.study import design as designs
from tastemaker.study.design import Design, Plan
from tastemaker.study.vote import Answer, Image, Item, Kind

ROWS = 32


@dataclass(frozen=True, slots=True)
class Task:
    """What becomes an item: images of a prompt, and the expected answer where it is to check the raters."""

    prompt: str
    images: tuple[Image, ...]
    category: str = ""
    gold: Answer | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Tasks, and their encoded images, read when ``bytes`` is called."""

    tasks: Sequence[Task]
    bytes: Callable[[], Iterator[bytes]]


def from_folders(folders: Mapping[str, Path], kind: Kind, categories: Mapping[str, str] | None = None) -> Source:
    """The images of ``folders`` (model's name → folder of `tastemaker generate`), the same sample of each side by side.

    Of kind `pair` every two models meet; in tasks of other kinds all models stand. ``categories`` is prompt → category.
    Raises `UserError` when the folders differ in prompts, samples or seed, or are too few for ``kind``.
    """
    least = 1 if kind == "flag" else 2
    if len(folders) < least:
        raise UserError(f"{', '.join(map(str, folders.values()))}: {len(folders)} folder; give {least} or more models")
    images.check_alike([*folders.values()])
    prompts = [row["prompt"] for row in images.keys(next(iter(folders.values())))]
    shas = [[Image(files.sha256_bytes(png), model) for png in _pngs(path)] for model, path in folders.items()]
    rows = [(prompt, list(row)) for prompt, *row in zip(prompts, *shas, strict=True)]
    tasks = [Task(prompt, each, (categories or {}).get(prompt, "")) for prompt, row in rows for each in met(row, kind)]
    return Source(tasks, lambda: itertools.chain.from_iterable(map(_pngs, folders.values())))


def from_comparisons(data: Path, gold: bool = False, categories: Mapping[str, str] | None = None) -> Source:
    """The pairs of a data folder as found, each once; with ``gold`` those without a tie, their label the gold answer.

    Raises `UserError` when there is no such pair, or when two rows with a gold answer contradict each other.
    """
    found: dict[tuple[str, frozenset[str]], Comparison] = {}
    for row in read_comparisons(data):
        if row.image_b is None or (gold and row.label == "tie"):
            continue
        first = found.setdefault((row.prompt, frozenset(row.images)), row)
        if gold and _winner(first) != _winner(row):
            raise UserError(f"{data}: {row.pair_id} contradicts {first.pair_id}; remove one from the gold items")
    if not found:
        raise UserError(f"{data}: holds no pair {'that has a winner' if gold else 'of images'}; choose another folder")
    tasks = [_as_task(row, gold, categories or {}) for row in found.values()]
    return Source(tasks, lambda: _stored(data, tasks))


def from_round(data: Path, prompts: Sequence[tuple[str, Sequence[str]]], kind: Kind) -> Source:
    """Images of a round: each prompt with the shas of its samples, which lie in the data folder ``data``.

    The model's name stays empty: all images are of one model. Of kind `pair` every two samples meet. A prompt that
    comes up twice gives tasks twice.
    """
    rows = [(prompt, [Image(sha) for sha in shas]) for prompt, shas in prompts]
    tasks = [Task(prompt, each) for prompt, row in rows for each in met(row, kind)]
    return Source(tasks, lambda: _stored(data, tasks))


def met(row: Sequence[Image], kind: Kind) -> list[tuple[Image, ...]]:
    """Who stands side by side: of kind `pair` every two images, else all at once."""
    return list(itertools.combinations(row, 2)) if kind == "pair" else [tuple(row)]


def create(study: Path, plan: Plan, source: Source, gold: Source | None = None) -> Design:
    """Make the folder ``study``: `study.json` and `data/images`, visible only when whole; returns its design.

    Where the same design stands already nothing changes, so a stopped command is run again. Raises `UserError` where
    another one stands, when ``plan`` asks for more repetitions or gold items than there are, and for a broken image.
    """
    design = arrange(plan, source.tasks, gold.tasks if gold else ())
    if not study.exists():
        with files.atomic_folder(study) as temporary:
            _copy(temporary / designs.DATA, design, [source, gold] if gold else [source])
            designs.write(temporary, design)
    elif not (study / designs.STUDY).exists():
        raise UserError(f"{study}: is there already and holds no study; choose another folder")
    designs.write(study, design)  # where the folder stood already: refuses another design
    return design


def arrange(plan: Plan, tasks: Sequence[Task], gold: Sequence[Task] = ()) -> Design:
    """The items in a drawn order; gold items and repetitions are drawn and lie among the others.

    A repetition stands at a place drawn from those at least two after its original. Each task is repeated once at most,
    gold items never. Raises `UserError` when fewer can be had than ``plan`` asks for.
    """
    if not tasks:
        raise UserError("the source of the study: gives no task; choose a folder with images of two models or more")
    chosen = _some("gold", _count(plan.gold, len(tasks)), gold, plan.seed)
    sequence: list[Task] = _some("order", len(tasks) + len(chosen), [*tasks, *chosen], plan.seed)
    early = [place for place, task in enumerate(sequence[:-1]) if task.gold is None]
    repeated = _some("repeats", _count(plan.repeats, len(tasks)), early, plan.seed)
    order: list[tuple[int, bool]] = [(place, False) for place in range(len(sequence))]
    for place in repeated:
        after = order.index((place, False)) + 2
        order.insert(int(draw.numbers(plan.seed, "place", place).integers(after, len(order) + 1)), (place, True))
    place_of = {place: number for number, (place, again) in enumerate(order) if not again}
    items = [
        _item(number, plan.kind, sequence[place], place_of[place] if again else None)
        for number, (place, again) in enumerate(order)
    ]
    return Design(**dict(plan), items=tuple(items))


def _item(number: int, kind: Kind, task: Task, repeats: int | None) -> Item:
    try:
        return Item(
            id=number,
            kind=kind,
            prompt=task.prompt,
            category=task.category,
            images=task.images,
            gold=task.gold,
            repeats=repeats,
        )
    except ValueError:
        raise UserError(
            f"{task.prompt!r:.80}: {len(task.images)} images and the gold answer {task.gold!r:.40} are no task of kind "
            f"{kind}; choose another kind"
        ) from None


def _some(what: str, number: int, of: Sequence[object], seed: int) -> list:  # type: ignore[type-arg]
    """``number`` of the things ``of``, in a drawn order."""
    if number > len(of):
        raise UserError(f"{what}: {number} are asked for and {len(of)} can be had; ask for fewer")
    return [of[place] for place in draw.numbers(seed, "study", what).permutation(len(of))[:number]]


def _count(asked: float, of: int) -> int:
    return asked if isinstance(asked, int) else round(asked * of)


def _winner(row: Comparison) -> str | None:
    return {"a": row.image_a, "b": row.image_b}.get(row.label)


def _as_task(row: Comparison, gold: bool, categories: Mapping[str, str]) -> Task:
    assert row.image_b is not None
    pair = (Image(row.image_a, row.model_a), Image(row.image_b, row.model_b))
    return Task(row.prompt, pair, categories.get(row.prompt, ""), "ab".index(row.label) if gold else None)


def _pngs(folder: Path) -> Iterator[bytes]:
    """The stored images of a folder of `tastemaker generate`, in file order, a few in memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / generating.IMAGES) as file:
        for batch in file.iter_batches(ROWS, columns=["png"]):
            yield from batch.column(0).to_pylist()


def _stored(data: Path, tasks: Iterable[Task]) -> Iterator[bytes]:
    wanted = {image.sha for task in tasks for image in task.images}
    return (found for _, found in ImageStore(data).read_many(wanted))


def _copy(data: Path, design: Design, sources: Iterable[Source]) -> None:
    """Copy the images of the design's items, each once."""
    wanted = {image.sha for item in design.items for image in item.images}
    found = itertools.chain.from_iterable(source.bytes() for source in sources)
    try:
        there = write_images(data, (image for image in found if files.sha256_bytes(image) in wanted))
    except ImageProblem as problem:
        raise UserError(f"{data}: an image cannot be read ({problem.detail}); make it again") from None
    assert wanted == set(there), "a source gives the images of its tasks"
