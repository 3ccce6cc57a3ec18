"""One step, where method, backbone and data meet: a batch of pairs in, one loss per pair out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tastemaker.backbone.adapter import Trainable
from tastemaker.backbone.backbone import Backbone
from tastemaker.method.evidence import Evidence
from tastemaker.method.method import Method
from tastemaker.train.batch import Batch, draws


@dataclass(frozen=True, eq=False)
class Outcome:
    """``loss`` [P], which carries the gradient, and figures to log, [P] each without one; all on the device."""

    loss: Tensor
    stats: dict[str, Tensor]


def step(backbone: Backbone, trainable: Trainable, batch: Batch, method: Method, seed: int) -> Outcome:
    """Judge ``batch`` by ``method``. What the method does not read (losers, reference) is not run.

    Step t and noise ε are shared inside a pair: by winner and loser, which are one batch, and by policy and reference,
    which see that very batch.
    """
    sides = (batch.winner, batch.loser) if method.needs_loser else (batch.winner,)
    t, eps = draws(batch, method.credit.when, backbone.schedule.steps, seed)
    stats = {"t": t.float().to(backbone.device)}
    t, eps = t.repeat(len(sides)), torch.cat([eps] * len(sides)).to(backbone.device)
    x0 = torch.cat(sides).to(backbone.device)
    x_t = backbone.schedule.noised(x0, eps, t)
    condition = {name: torch.cat([rows] * len(sides)) for name, rows in batch.condition.items()}

    def costs(role: str) -> tuple[Tensor, ...]:
        """n = ω(t) e, [P] each: the winners' and, where they are read, the losers'."""
        prediction = backbone.forward(x_t, t, condition)
        error = prediction.error(x0, eps)
        for side, value in zip(("winner", "loser"), error.detach().chunk(len(sides)), strict=False):
            stats[f"{role}error_{side}"] = value
        return (method.credit.weight(prediction) * error).chunk(len(sides))

    policy = costs("")
    if not method.needs_reference:
        return Outcome(method.link(Evidence(*policy)), stats)
    with torch.no_grad(), trainable.reference():
        evidence = Evidence(*policy, *costs("reference_"))
    margin = stats["margin"] = evidence.margin.detach()
    stats["accuracy"] = (margin > 0).float() + (margin == 0).float() / 2
    return Outcome(method.link(evidence), stats)
