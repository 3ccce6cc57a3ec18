"""A micro-batch on the card: as we do it, the least that can be done, and in the order of the public scripts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pairs import picture
from torch import Tensor
from torch.nn.functional import logsigmoid

from tastemaker.data.images import decode, to_pixels
from tastemaker.train import optimizer
from tastemaker.train.batch import Batch
from tastemaker.train.ranks import Ranks
from tastemaker.train.recipe import Recipe
from tastemaker.train.run import Run, Task, resume
from tastemaker.train.step import step
from tastemaker.train.training import prepare

WARM_UP = 2


@dataclass(frozen=True)
class Bench:
    """A recipe's model with its adapter on, and its first micro-batch."""

    task: Task
    run: Run
    micro: int

    def ours(self) -> None:
        """Read, draw, both forward passes, the loss, the backward pass."""
        settings, task = self.task.recipe.train, self.task
        [micro] = task.source.micro_batches(0, self.micro, 1)
        for batch in task.source.batches(micro):
            outcome = step(task.backbone, task.trainable, batch, task.recipe.method, self.run.memory, settings.seed)
            outcome.loss.mean().backward()

    def floor(self) -> Callable[[], None]:
        """The denoiser with and without the adapter, and a backward pass, on tensors that lie ready."""
        task, batch = self.task, self._batch()
        images, t = batch.images(losers=True), torch.full((2 * self.micro,), 500)
        x = images.x0.to(task.backbone.device)
        condition = {name: rows.to(task.backbone.device) for name, rows in images.condition.items()}

        def bare() -> None:
            task.backbone.forward(x, t, condition).output.float().square().mean().backward()
            with torch.no_grad(), task.trainable.reference():
                task.backbone.forward(x, t, condition)

        return bare

    def peers(self, side: int) -> Callable[[], None]:
        """As diffusers' script: decode, encode images and prompts at every step, then as we do, and wait for the loss.

        Its order of work on our model and weights, not its code; what it does with the numbers is Diffusion-DPO's loss.
        """
        task, beta = self.task, 2000.0
        files = [picture(number, side) for number in range(2 * self.micro)]
        prompts = [f"a picture of thing {number}" for number in range(self.micro)]
        backbone, schedule = task.backbone, task.backbone.schedule

        def costs(x0: Tensor, eps: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
            error = backbone.forward(schedule.noised(x0, eps, t), t, condition).error(x0, eps)
            winners, losers = error.chunk(2)
            return winners - losers

        def one() -> None:
            shown = torch.stack([torch.from_numpy(to_pixels(decode(file), side, side)) for file in files])
            moments = backbone.encode(shown)
            x0 = moments.at(torch.randn_like(moments.mean))
            condition = backbone.condition([*prompts, *prompts])
            condition["time_ids"] = torch.tensor([[side, side, 0, 0, side, side]] * len(files), dtype=torch.float32)
            eps, t = torch.randn_like(x0), torch.randint(schedule.steps, (self.micro,)).repeat(2)
            policy = costs(x0, eps, t, condition)
            with torch.no_grad(), task.trainable.reference():
                reference = costs(x0, eps, t, condition)
            loss = -logsigmoid(-beta / 2 * (policy - reference)).mean()
            loss.backward()
            loss.item()

        return one

    def _batch(self) -> Batch:
        [micro] = self.task.source.micro_batches(0, self.micro, 1)
        return next(iter(self.task.source.batches(micro)))

    def rate(self, work: Callable[[], None], times: int) -> float:
        """Pairs a second of ``work``."""
        for _ in range(WARM_UP):
            work()
        _wait()
        began = time.perf_counter()
        for _ in range(times):
            work()
        _wait()
        optimizer.clear(self.run.optimizer)
        return times * self.micro / (time.perf_counter() - began)


def bench(recipe: Recipe, index: dict[str, object]) -> Bench:
    """A bench on ``recipe``, whose cache has ``index``."""
    task = prepare(recipe, Path(recipe.out), "", index, Ranks(), recipe.train.device)
    return Bench(task, resume(task), recipe.train.batch_size)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
