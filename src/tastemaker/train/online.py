"""Comparisons of images that the model has just drawn, as a source of training: sample, ask, hand out, again.

A round is drawn by the weights as they stand before its first update. The reference is the model before the first
round, whatever was resumed: in that round policy and reference are the same, so its log-densities are known from
sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.base import draw
from tastemaker.base.errors import UserError
from tastemaker.method.evidence import Transition
from tastemaker.method.when import Range, Uniform
from tastemaker.rollout import rounds, shards
from tastemaker.rollout.stream import Duel, duels
from tastemaker.train.order import Micro
from tastemaker.train.transitions import Steps

if TYPE_CHECKING:
    from tastemaker.backbone.backbone import Condition
    from tastemaker.train.signals import Stop
    from tastemaker.train.source import Figures
    from tastemaker.train.studio import Studio


@dataclass(frozen=True, eq=False)
class Loaded:
    """A judged round at hand."""

    number: int
    duels: Sequence[Duel]
    conditions: Condition
    """One row a prompt."""
    reader: shards.Reader


class Online:
    """A `Source` of the rounds that ``studio`` makes. Raises `UserError` when the method reads no step of a walk."""

    def __init__(self, studio: Studio) -> None:
        self._studio, self._recipe = studio, studio.recipe
        self._actions = _actions(studio)
        self._round: Loaded | None = None
        self.waiting: str | None = None

    @property
    def total(self) -> int:
        """Pairs that the run will see, counted with repetition."""
        return self.steps(0) * self._recipe.train.pairs_a_step

    def steps(self, _: int) -> int:
        """Optimizer steps of all rounds."""
        return self._recipe.rounds.count * self._recipe.rounds.updates

    def has(self, step: int) -> bool:
        """Whether the round of this step is loaded."""
        return self._round is not None and self._round.number == step // self._recipe.rounds.updates

    def supply(self, step: int, stop: Stop) -> Figures | None:
        """Make the round of ``step`` and load it; the figures of a round are returned where it begins.

        Raises `UserError` when nothing in it was decided, or when a run goes on in the middle of a round that is gone.
        """
        number, done = divmod(step, self._recipe.rounds.updates)
        conditions = self._studio.sampler.conditions(self._studio.prompts_of(number))
        found = self._studio.find(number) if done else self._studio.make(number, conditions, stop)
        self.waiting = found if isinstance(found, str) else None
        if found is None or isinstance(found, str):
            return None
        self._load(number, conditions)
        return {} if done else {"round": number, **found["figures"]}

    def micro_batches(self, step: int, batch_size: int, accumulate: int) -> list[Micro[Duel]]:
        """The duels of optimizer step ``step``: the round's in a shuffled order, again when they run out."""
        assert self._round is not None
        first = step % self._recipe.rounds.updates * batch_size * accumulate
        places = [divmod(at, len(self._round.duels)) for at in range(first, first + batch_size * accumulate)]
        orders = {epoch: self._ordered(epoch) for epoch in {epoch for epoch, _ in places}}
        parts = (places[at : at + batch_size] for at in range(0, len(places), batch_size))
        return [Micro([orders[epoch][at] for epoch, at in part], [epoch for epoch, _ in part]) for part in parts]

    def batches(self, micro: Micro[Duel]) -> Iterator[Steps]:
        """The steps of ``micro``'s duels, so many at once as the recipe says."""
        visits = list(zip(micro.pairs, micro.visits, strict=True))
        chosen = [self._steps_of(duel, visit) for duel, visit in visits]
        rows = [(*visit, j) for visit, steps in zip(visits, chosen, strict=True) for j in steps.tolist()]
        size = self._recipe.train.batch_size * self._recipe.rounds.steps_at_once
        for at in range(0, len(rows), size):
            yield self._batch(rows[at : at + size], 1 / len(chosen[0]))

    def _load(self, number: int, conditions: Condition) -> None:
        folder, samples = self._studio.folder(number), self._recipe.rollout.images
        choices = rounds.read_choices(folder)
        found = duels(choices, samples, self._recipe.rounds.pairs, number)
        if not found:
            raise UserError(
                f"{folder}: none of {len(choices)} comparisons was decided, so there is nothing to learn; look at "
                f"{rounds.GRID} there: the images may have become alike (lower train.lr), or feedback.tie is too large"
            )
        reader = shards.Reader(folder / shards.FOLDER, self._studio.images_a_shard)
        self._round = Loaded(number, found, conditions, reader)

    def _ordered(self, epoch: int) -> list[Duel]:
        assert self._round is not None
        key = (self._recipe.train.seed, self._round.number, epoch)
        return sorted(self._round.duels, key=lambda duel: draw.key_bits("duels", *key, duel.pair_id))

    def _steps_of(self, duel: Duel, visit: int) -> Tensor:
        """The steps that this visit reads, [n]."""
        assert isinstance(self._recipe.method.evidence, Transition)
        wanted, there = self._recipe.method.evidence.steps, len(self._actions)
        if wanted is None or wanted >= there:
            return self._actions
        chosen = draw.numbers(self._recipe.train.seed, "steps", duel.pair_id, visit).permutation(there)
        return self._actions[sorted(chosen[:wanted].tolist())]

    def _batch(self, rows: Sequence[tuple[Duel, int, int]], share: float) -> Steps:
        assert self._round is not None
        round, j = self._round, torch.tensor([step for _, _, step in rows])
        images = [duel.winner for duel, _, _ in rows] + [duel.loser for duel, _, _ in rows]
        both, prompts = torch.cat([j, j]), [duel.prompt for duel, _, _ in rows] * 2
        return Steps(
            pair_ids=[duel.pair_id for duel, _, _ in rows],
            visits=[visit for _, visit, _ in rows],
            share=share,
            policy=self._studio.sampler.policy,
            j=j,
            before=round.reader.latents(images, both),
            after=round.reader.latents(images, both + 1),
            condition={name: values[prompts] for name, values in round.conditions.items()},
            reference=round.reader.log_prob(images, both) if round.number == 0 else None,
        )


def _actions(studio: Studio) -> Tensor:
    """The steps of a walk that have a density and that the method's credit reads; `UserError` when there are none."""
    when, policy = studio.recipe.method.credit.when, studio.sampler.policy
    assert isinstance(when, Uniform | Range)
    actions = policy.grid.actions
    found = actions[when.reads(policy.grid.t[actions], policy.backbone.schedule.steps)]
    if not len(found):
        raise UserError(
            f"method.credit.when: {when.kind}: none of the {policy.grid.steps} steps of a walk lies there; widen it"
        )
    return found
