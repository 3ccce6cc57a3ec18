"""Ray Data: images are decoded on CPU workers, models run in GPU actors, on one machine or on a cluster.

What flows is one batch of images, so a decoded block never lies in memory as a whole. The driver puts the batches of a
block together in their order and writes it, as any other executor does. `pip install tastemaker[ray]`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tastemaker.base.errors import UserError
from tastemaker.score.blocks import Block, Job
from tastemaker.score.executors import Tick
from tastemaker.score.view import View
from tastemaker.score.worker import Answers, Eyes, Judge, write

Item = dict[str, Any]


class RayData:
    """A Ray cluster: the one at RAY_ADDRESS, or one of this machine's own."""

    main = True

    def __init__(self, workers: int | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise UserError("--executor ray: Ray is not installed; pip install 'tastemaker[ray]'") from None
        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR", runtime_env=_environment())
        self._ray = ray
        self._gpus = int(ray.cluster_resources().get("GPU", 0))
        self.workers = workers or self._gpus or 1
        ray.data.DataContext.get_current().enable_progress_bars = False

    def meet(self) -> None:
        """Ray's processes are not this run's."""

    def share(self, blocks: Iterable[Block]) -> Iterable[Block]:
        """All of them."""
        return blocks

    def close(self) -> None:
        """Let go of the cluster."""
        self._ray.shutdown()

    def run(self, job: Job, blocks: Iterable[Block], tick: Tick) -> None:
        """Carry out ``blocks``, and write each when all of its batches are there."""
        plan = Plan(job, {block.number: block for block in blocks})
        trusted = set(job.trusted)
        known: dict[int, dict[int, Answers]] = {number: {} for number in plan.blocks}
        for number, place, answers in self._answers(plan):
            parts = known[number]
            parts[place] = answers
            tick(sum(map(len, answers.rows.values())))
            if len(parts) == len(plan.batches(number)):
                trusted |= write(job, _joined(parts), trusted)
                del known[number]

    def _answers(self, plan: Plan) -> Iterator[tuple[int, int, Answers]]:
        """One data set for the whole run: the actors load their models once, and know the plan from the beginning."""
        sent = self._ray.put(plan)
        items = [
            {"number": number, "place": place} for number in plan.blocks for place in range(len(plan.batches(number)))
        ]
        gpu = {"num_gpus": 1} if self._gpus else {"num_cpus": 1}
        seen = self._ray.data.from_items(items).map(Look, fn_constructor_args=(sent,), concurrency=self.workers)
        judged = seen.map(Ask, fn_constructor_args=(sent,), concurrency=self.workers, **gpu)
        for item in judged.iter_rows():
            yield item["number"], item["place"], item["answers"]


@dataclass(frozen=True)
class Plan:
    """What every Ray worker is told once."""

    job: Job
    blocks: Mapping[int, Block]

    def batches(self, number: int) -> list[tuple[str, ...]]:
        """The images of a block, a batch at a time."""
        return list(self.blocks[number].batches(self.job.batch_size))


@dataclass(frozen=True)
class Views:
    """One value to Ray, not a column of several."""

    views: list[View]


class Look:
    """The CPU stage: decode and transform a batch of images."""

    def __init__(self, sent: Any) -> None:
        self._plan = _got(sent)
        self._eyes = Eyes(self._plan.job)

    def __call__(self, item: Item) -> Item:
        """Add the views of the batch's images."""
        shas = self._plan.batches(item["number"])[item["place"]]
        return {**item, "views": Views(self._eyes.look(shas))}


class Ask:
    """The GPU stage: ask the scorers."""

    def __init__(self, sent: Any) -> None:
        self._plan = _got(sent)
        self._judge = Judge(self._plan.job)

    def __call__(self, item: Item) -> Item:
        """The answers to a batch."""
        answers = self._judge.answer(self._plan.blocks[item["number"]], item["views"].views)
        return {"number": item["number"], "place": item["place"], "answers": answers}


def _got(sent: Any) -> Plan:
    import ray

    plan: Plan = ray.get(sent)
    return plan


def _joined(parts: dict[int, Answers]) -> Answers:
    whole = Answers()
    for place in sorted(parts):
        whole.add(parts[place])
    return whole


def _environment() -> dict[str, Any]:
    """Ray gives its workers one thread each: another number of threads than the driver's may change the last bit."""
    import torch

    threads = os.environ.get("OMP_NUM_THREADS", str(torch.get_num_threads()))
    return {"env_vars": {"OMP_NUM_THREADS": threads}}
