"""What is due between steps: a line of metrics, a validation, a grid of samples, a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from tastemaker.base import files
from tastemaker.base.errors import Diverged
from tastemaker.base.progress import bar
from tastemaker.train import average, checkpoint, samples, scaling, skipped
from tastemaker.train.log import Log, Silence, Window
from tastemaker.train.rate import rate
from tastemaker.train.run import Run, Task, snapshot
from tastemaker.train.validation import validate

SHOWN = ("loss", "accuracy")
MEMORY = "memory.safetensors"


@contextmanager
def opened(task: Task, run: Run) -> Iterator[Record]:
    """The run's record, its logs cut back to where ``run`` stands; only the main rank's is written."""
    if not task.ranks.main:
        yield Record(task, run, Silence(), tqdm((), disable=True))
        return
    skipped.cut(task.out, run.skipped_bytes)
    progress: tqdm[None] = bar((), "train", total=task.source.total, unit="pair")
    progress.initial = progress.n = run.pairs_seen
    with Log(task.out, run.step, run.pairs_seen, run.metrics_bytes) as log, progress:
        yield Record(task, run, log, progress)


@dataclass(frozen=True)
class Record:
    """What a run leaves behind as it goes. Every rank keeps one, because some figures need all of them."""

    task: Task
    run: Run
    log: Log | Silence
    progress: tqdm[None]

    def begin(self) -> None:
        """Before the first step."""
        if figures := self._validate():
            self.log.write(self._place() | figures)
        self._sample()

    def tell(self, figures: dict[str, float]) -> None:
        """Write what there is to say of the pairs that come next."""
        self.log.write(self._place() | figures)

    def after_step(self) -> None:
        """Whatever is due at this step."""
        settings, step = self.task.recipe.train, self.run.step
        last = step == self.task.steps
        self.progress.update(self.run.pairs_seen - self.progress.n)
        validated = self._validate() if _due(step, settings.validate_every, last) else {}
        if validated or _due(step, settings.log_every, last):
            self._write_line(validated)
        if _due(step, settings.sample_every, last):
            self._sample()
        if _due(step, settings.checkpoint_every, False):
            self.save()

    def save(self) -> None:
        """Write a checkpoint, and the method's memory for people to look at, unless the newest one is of this step."""
        task, run = self.task, self.run
        if run.saved == run.step:
            return
        with self.log.aside():
            found = snapshot(task, run, self.log.settle())
            if task.ranks.main:
                checkpoint.save(task.out, found, task.recipe.train.keep_checkpoints)
                with files.atomic_file(task.out / MEMORY) as temporary:
                    checkpoint.write_tensors(temporary, found.tensors["memory"])
        run.saved = run.step

    def _write_line(self, validated: dict[str, float]) -> None:
        means = self.run.window.joint(self.task.ranks).read()
        lr = rate(self.run.step - 1, self.task.steps, self.task.recipe.train)
        speed = self.log.write(self._place() | {"lr": lr} | scaling.figures(self.run.scaler) | means | validated)
        shown = {name: f"{means[name]:.4g}" for name in SHOWN if name in means}
        self.progress.set_postfix(shown | {"pairs/s": f"{speed:.3g}"})
        self.run.window = Window()

    def _place(self) -> dict[str, float]:
        return {"step": self.run.step, "pairs_seen": self.run.pairs_seen}

    def _validate(self) -> dict[str, float]:
        """Figures of the held-out pairs, if any, by the average where there is one. `Diverged` if one is not finite."""
        task = self.task
        if task.held_out is None:
            return {}
        with self.log.aside(), average.using(self.run.average, task.trainable.parameters):
            figures = validate(task, task.held_out)
        if not all(map(math.isfinite, figures.values())):
            raise Diverged(
                f"{task.out}: the margin of the held-out pairs is not finite after step {self.run.step}; "
                f"{checkpoint.last_good(task.out, self.run.saved)}; look at data.validation, or start again in another "
                "out with a lower train.lr"
            )
        return figures

    def _sample(self) -> None:
        task = self.task
        if task.ranks.main and task.recipe.train.sample_every:
            with self.log.aside(), average.using(self.run.average, task.trainable.parameters):
                grid = samples.draw(task.backbone, task.recipe.train)
            samples.save(grid, task.out, self.run.step)
            self.log.image(self.run.step, grid)


def _due(step: int, every: int, last: bool) -> bool:
    """Whether something that happens every so many steps (0: never, unless it is ``last``) happens now."""
    return last or (every > 0 and step % every == 0)
