"""A graph of stages: each is done once, whatever needs it, and a finished one is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from tastemaker.base.progress import bar


@dataclass(frozen=True)
class Stage:
    """``do`` writes ``out`` last, so that a stage is finished when it is there; ``seconds`` is what it should take.

    ``kind`` groups stages in the list of costs. Two stages with the same name are the same.
    """

    name: str
    kind: str
    out: Path
    do: Callable[[], object] = field(compare=False, repr=False)
    seconds: float = 0.0
    needs: tuple[Stage, ...] = ()

    @property
    def done(self) -> bool:
        """Whether it is finished."""
        return self.out.exists()


@dataclass(frozen=True)
class Cost:
    """Of the stages of a kind: how many, how many are finished, and the seconds of the rest."""

    kind: str
    stages: int
    finished: int
    seconds: float


def ordered(targets: Iterable[Stage]) -> list[Stage]:
    """``targets`` and all they need, each once, what is needed first; a finished stage needs nothing any more."""
    found: dict[str, Stage] = {}
    graph: dict[str, list[str]] = {}
    for stage in _reach(targets):
        found.setdefault(stage.name, stage)
        graph.setdefault(stage.name, [] if stage.done else [need.name for need in stage.needs])
    return [found[name] for name in TopologicalSorter(graph).static_order()]


def _reach(targets: Iterable[Stage]) -> Iterator[Stage]:
    seen: set[str] = set()
    waiting = list(targets)
    while waiting:
        stage = waiting.pop()
        if stage.name not in seen:
            seen.add(stage.name)
            waiting += [] if stage.done else stage.needs
            yield stage


def carry_out(stages: Sequence[Stage]) -> int:
    """Do what is not finished, in order; returns how many stages that were."""
    todo = [stage for stage in stages if not stage.done]
    with bar(todo, "reproduce", unit="stage") as shown:
        for stage in shown:
            shown.set_description_str(f"reproduce: {stage.name}")
            if not stage.done:  # another process may have done it since
                stage.do()
                assert stage.done, f"{stage.name} leaves {stage.out}"
    return len(todo)


def costs(stages: Iterable[Stage]) -> list[Cost]:
    """A line for each kind, in the order in which kinds come up."""
    kinds: dict[str, list[Stage]] = {}
    for stage in stages:
        kinds.setdefault(stage.kind, []).append(stage)
    return [
        Cost(kind, len(some), sum(each.done for each in some), sum(each.seconds for each in some if not each.done))
        for kind, some in kinds.items()
    ]
