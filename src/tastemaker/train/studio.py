"""Where rounds are made: images drawn by the model as it stands, shared out over the ranks, and judged.

Everything of a round lies on disk before training goes on with it; what is there is not made again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.base import files, summary
from tastemaker.base.errors import UserError
from tastemaker.base.progress import bar
from tastemaker.rollout import rounds, shards
from tastemaker.rollout.feedback import Round
from tastemaker.rollout.sampling import Sampler, prompts_at
from tastemaker.train import patience

if TYPE_CHECKING:
    from tastemaker.backbone.adapter import Trainable
    from tastemaker.backbone.backbone import Condition
    from tastemaker.train.ranks import Ranks
    from tastemaker.train.recipe import D3po
    from tastemaker.train.signals import Stop

Facts = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Studio:
    """``prompts`` is the list that rounds are made of, ``mark`` the run's fingerprint; every rank has a studio."""

    recipe: D3po
    out: Path
    mark: str
    prompts: Sequence[str]
    sampler: Sampler
    trainable: Trainable
    ranks: Ranks
    build: rounds.Build

    def folder(self, number: int) -> Path:
        """Where round ``number`` lies."""
        return rounds.path_of(self.out, number)

    def prompts_of(self, number: int) -> list[str]:
        """The prompts of round ``number``."""
        count = self.recipe.rounds.prompts
        return prompts_at(self.prompts, self.recipe.train.seed, number * count, count)

    @property
    def images_a_shard(self) -> int:
        """Images of one batch of the walk, which is one shard."""
        return self.recipe.rollout.prompts_at_once * self.recipe.rollout.images

    def make(self, number: int, conditions: Condition, stop: Stop) -> Facts | str | None:
        """Draw and judge round ``number`` by the weights as they are; every rank calls it.

        Returns its summary; one line when people have not answered yet and the run is not to wait for them; None when
        a signal came first.
        """
        mark = summary.fingerprint(run=self.mark, round=number, weights=weights_sha(self.trainable))
        if self.ranks.main:
            shards.open_folder(self.folder(number), mark)
        self.ranks.gather(None)  # the others see the folder as the main rank has left it
        self._draw(number, conditions, stop)
        if any(self.ranks.gather(stop.signum is not None)):
            return None
        return patience.wait(self._looking(number, mark), self.recipe.feedback.poll, self.ranks, stop)

    def find(self, number: int) -> Facts:
        """The summary of a round that was made before. Raises `UserError` when its trajectories are gone."""
        folder = self.folder(number)
        if not (folder / shards.FOLDER / shards.MARK).is_file():
            raise UserError(
                f"{folder / shards.FOLDER}: gone, but the newest checkpoint is in the middle of this round; put it "
                f"back, or remove {self.out} and start again"
            )
        found: Facts = files.read_json(folder / summary.NAME)
        return found

    def _draw(self, number: int, conditions: Condition, stop: Stop) -> None:
        """This rank's shards that are not there yet."""
        folder, size, count = self.folder(number) / shards.FOLDER, self.recipe.rollout.prompts_at_once, self._count
        for shard in bar(self.ranks.share(range(self._shards)), f"round {number}: sample", unit="batch"):
            if stop.signum is not None:
                return
            if not shards.shard_path(folder, shard).exists():
                part = range(shard * size, min((shard + 1) * size, count))
                some = {name: rows[part.start : part.stop] for name, rows in conditions.items()}
                positions = [number * count + at for at in part]
                shards.write(folder, shard, *self.sampler.draw(positions, some), self.sampler.how(positions))

    def _looking(self, number: int, mark: str) -> Callable[[], Facts | str]:
        """What judges the round, or says what is missing, as often as it is called; its images are scored once."""
        asked, started = cache(partial(self._asked, number)), time.monotonic()

        def look() -> Facts | str:
            done = _summary(self.folder(number), mark)
            return self._judge(asked(), mark, started) if done is None else done

        return look

    def _judge(self, asked: Round, mark: str, started: float) -> Facts | str:
        """The summary is written last: as long as there is none, nothing was trained on the choices."""
        feedback = self.recipe.feedback
        answer = feedback.choices(asked)
        if isinstance(answer, str):
            return f"{asked.folder}: {answer}"
        rounds.write(asked, answer, judge=", ".join([feedback.kind, *feedback.scorers]))
        facts = {"number": asked.number, "figures": rounds.figures(asked, answer), "fingerprint": mark}
        done = summary.finish(asked.folder, "d3po round", started, **facts)
        self._forget(asked.number - self.recipe.rounds.keep)
        return done

    def _asked(self, number: int) -> Round:
        folder, prompts, samples = self.folder(number), self.prompts_of(number), self.recipe.rollout.images
        found = [png for shard in range(self._shards) for png in shards.pngs(folder / shards.FOLDER, shard)]
        pngs = [found[at : at + samples] for at in range(0, len(found), samples)]
        specs = [*self.recipe.feedback.scorers, *self.recipe.rounds.watch]
        rewards = rounds.rewards(specs, self.build, prompts, pngs)
        return Round(folder, number, self.recipe.train.seed, prompts, pngs, rewards)

    def _forget(self, last: int) -> None:
        """Remove the trajectories of the rounds up to ``last``; a checkpoint after them is on disk."""
        for number in range(last + 1):
            shutil.rmtree(self.folder(number) / shards.FOLDER, ignore_errors=True)

    @property
    def _count(self) -> int:
        return self.recipe.rounds.prompts

    @property
    def _shards(self) -> int:
        return -(-self._count // self.recipe.rollout.prompts_at_once)


def weights_sha(trainable: Trainable) -> str:
    """Hex SHA-256 of the trained weights."""
    from safetensors.torch import save

    return files.sha256_bytes(save({name: p.detach().cpu().contiguous() for name, p in trainable.parameters.items()}))


def _summary(folder: Path, mark: str) -> Facts | None:
    """The summary of a judged round that this very policy drew."""
    path = folder / summary.NAME
    found: Facts | None = files.read_json(path) if path.is_file() else None
    return found if found is not None and found.get("fingerprint") == mark else None
