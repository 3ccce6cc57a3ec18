"""Evidence from steps that were really sampled (D3PO): one row is one step of a pair's two trajectories.

    ρ = clip(log π_θ(x_{j+1} | x_j) − log π_r(x_{j+1} | x_j))        winner and loser each

The chain is never differentiated: every step is a forward and a backward pass of its own, so that memory does not grow
with their number. Legend: A rows; winners first, then losers, [2A].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.base.placing import put
from tastemaker.method.evidence import Evidence
from tastemaker.train.observed import Observed

if TYPE_CHECKING:
    from tastemaker.backbone.adapter import Trainable
    from tastemaker.backbone.backbone import Condition
    from tastemaker.method.memory import Memory
    from tastemaker.method.method import Method
    from tastemaker.rollout.walk import Policy


@dataclass(frozen=True, eq=False)
class Steps:
    """A rows, each a step of a pair; a pair has 1 / ``share`` rows in all, in this and other batches of the step."""

    pair_ids: list[str]
    visits: list[int]
    share: float
    policy: Policy
    j: Tensor
    """[A] numbers of the steps on the policy's grid, on the CPU."""
    before: Tensor
    """x_j [2A, C, H, W]."""
    after: Tensor
    """x_{j+1} [2A, C, H, W]."""
    condition: Condition
    """[2A] rows."""
    reference: Tensor | None
    """log π_r [2A] where it is known from sampling."""

    def log_prob(self, sides: int) -> Tensor:
        """log π of the model as it stands, [``sides`` · A]: of the winners, or of winners and losers."""
        rows, place = sides * len(self.j), self.policy.backbone.device
        condition = {name: values[:rows] for name, values in self.condition.items()}
        step = self.policy(put(self.before[:rows], place), self.j.repeat(sides), condition)
        return step.log_prob(put(self.after[:rows], place))


def follow(trainable: Trainable, batch: Steps, method: Method, memory: Memory) -> Observed:
    """Run policy and, where the method reads it and sampling has not, reference on ``batch``."""
    backbone = batch.policy.backbone
    t, sides = batch.policy.grid.t[batch.j], 2 if method.needs_loser else 1
    omega = put(method.credit.weight(t, backbone.schedule, backbone.head).float(), backbone.device)
    log_policy = batch.log_prob(sides)
    t = put(t, backbone.device)
    stats = {"t": t.float()}
    if not method.needs_reference:
        costs = (-omega.repeat(sides) * log_policy).chunk(sides)
        return Observed(Evidence(costs, baseline=memory.baseline), t, omega, stats)
    ratio = log_policy - _reference(trainable, batch, sides)
    stats |= _figures(ratio.detach().chunk(sides), method)
    if (clip := method.credit.clip) is not None:
        ratio = clip(ratio)
    costs = (-omega.repeat(sides) * ratio).chunk(sides)  # against a reference whose cost counts as 0
    nothing = tuple(torch.zeros_like(cost) for cost in costs)
    return Observed(Evidence(costs, nothing, baseline=memory.baseline), t, omega, stats)


def _reference(trainable: Trainable, batch: Steps, sides: int) -> Tensor:
    if batch.reference is not None:
        return put(batch.reference[: sides * len(batch.j)], batch.policy.backbone.device)
    with torch.no_grad(), trainable.reference():
        return batch.log_prob(sides)


def _figures(ratios: tuple[Tensor, ...], method: Method) -> dict[str, Tensor]:
    """Log-ratios before the clip, [A] each, and the share of them that it cut: at all, and on the wrong side."""
    found = {f"ratio_{name}": ratio for name, ratio in zip(("winner", "loser"), ratios, strict=False)}
    if (clip := method.credit.clip) is None or len(ratios) < 2:
        return found
    cuts = {"clipped": [clip.clipped(ratio) for ratio in ratios], "clipped_wrong": clip.wrong_side(*ratios)}
    return found | {name: torch.stack([*sides]).float().mean(0) for name, sides in cuts.items()}
