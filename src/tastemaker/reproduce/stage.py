"""A graph of stages: each is done once, whatever needs it and whoever is at it, and a finished one is left alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from tastemaker.base.errors import Busy
from tastemaker.base.files import locked
from tastemaker.base.progress import bar

PAUSE = 5.0
"""Seconds between looks at what another process is doing."""
AT_WORK = ".at-work"


class Needed(NamedTuple):
    """Weights that a stage will read, as the command line names them (`needed.find`)."""

    kind: Literal["scorer", "classifier", "safety", "model"]
    spec: str


@dataclass(frozen=True)
class Stage:
    """``do`` writes ``out`` last, so that a stage is finished when it is there; ``seconds`` is what it should take.

    ``space`` are the bytes that it leaves, 0 where a profile does not count them.
    ``kind`` groups stages in the list of costs, ``reads`` are the weights that it wants besides what other stages
    leave. Two stages with the same name are the same.
    """

    name: str
    kind: str
    out: Path
    do: Callable[[], object] = field(compare=False, repr=False)
    seconds: float = 0.0
    needs: tuple[Stage, ...] = ()
    reads: tuple[Needed, ...] = field(default=(), compare=False, repr=False)
    space: float = field(default=0.0, compare=False, repr=False)

    @property
    def done(self) -> bool:
        """Whether it is finished."""
        return self.out.exists()

    @property
    def ready(self) -> bool:
        """Whether all that it needs is finished."""
        return all(need.done for need in self.needs)

    @property
    def lock(self) -> Path:
        """What the process that is at it holds: beside the output's folder, which the verbs inside hold themselves."""
        place = self.out.parent
        return place.parent / AT_WORK / f"{place.name}-{self.out.stem}"


@dataclass(frozen=True)
class Cost:
    """Of the stages of a kind: how many, how many are finished, and the seconds of the rest."""

    kind: str
    stages: int
    finished: int
    seconds: float


def ordered(targets: Iterable[Stage]) -> list[Stage]:
    """``targets`` and all they need, each once, what is needed first; a finished stage needs nothing any more.

    A target is whole before what only the next one needs begins, so that a stopped run has something to show.
    """
    found: dict[str, Stage] = {}
    for target in targets:
        _add(target, found)
    return list(found.values())


def _add(stage: Stage, found: dict[str, Stage]) -> None:
    if stage.name in found:
        return
    for need in () if stage.done else stage.needs:
        _add(need, found)
    found[stage.name] = stage


def carry_out(stages: Sequence[Stage], pause: float = PAUSE) -> int:
    """Do what is not finished, in order; returns how many stages this process did.

    A stage that another process is at, or whose needs one is at, is passed over and looked at again when the others
    are through; while nothing can be done here, every ``pause`` seconds.
    """
    left, count = [stage for stage in stages if not stage.done], 0
    with bar(stages, "reproduce", total=len(left), unit="stage") as shown:
        while left:
            before = len(left), count
            for stage in tuple(left):
                shown.set_description_str(f"reproduce: {stage.name}")
                count += _attempt(stage)
                if stage.done:
                    left.remove(stage)
                    shown.update()
            if left and before == (len(left), count):
                shown.set_description_str(f"reproduce: waiting for another process, {left[0].name}")
                time.sleep(pause)
    return count


def _attempt(stage: Stage) -> bool:
    """Do a stage that is ready, not finished, and free; returns whether this process did it."""
    if stage.done or not stage.ready:
        return False
    with held(stage.lock) as mine:
        return mine and _do(stage)


def _do(stage: Stage) -> bool:
    if stage.done:  # another process has finished it since
        return False
    stage.do()
    assert stage.out.exists(), f"{stage.name} leaves {stage.out}"
    return True


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold ``folder`` as `locked` does, but yield False where another process holds it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except Busy:
            mine = False
        else:
            mine = True
        yield mine


@contextlib.contextmanager
def awaited(folder: Path, pause: float = PAUSE) -> Iterator[None]:
    """Hold ``folder``, looking every ``pause`` seconds whether the process that has it is through."""
    while True:
        with held(folder) as mine:
            if mine:
                yield
                return
        time.sleep(pause)


def costs(stages: Iterable[Stage]) -> list[Cost]:
    """A line for each kind, in the order in which kinds come up."""
    kinds: dict[str, list[Stage]] = {}
    for stage in stages:
        kinds.setdefault(stage.kind, []).append(stage)
    return [
        Cost(kind, len(some), sum(each.done for each in some), sum(each.seconds for each in some if not each.done))
        for kind, some in kinds.items()
    ]
