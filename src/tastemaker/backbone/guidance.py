"""Classifier-free guidance: the same prediction in sampling and in training.

p = p_∅ + s (p_c − p_∅)        (Ho & Salimans 2022, arXiv:2207.12598, eq. 6, in the scale of diffusers)
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tastemaker.backbone.backbone import Backbone, Condition
from tastemaker.backbone.choice import UNGUIDED
from tastemaker.base.placing import put
from tastemaker.process.prediction import Prediction


def guided(
    backbone: Backbone, x_t: Tensor, t: Tensor, condition: Condition, unconditional: Condition, scale: float
) -> Prediction:
    """Run ``backbone`` on ``x_t`` [B, C, H, W] with guidance ``scale``, both prompts of a row in one batch.

    ``unconditional`` has one row, of the empty prompt. At scale 1 it is not run. A model that was distilled from guided
    sampling is told the scale instead, in one pass. Gradients flow through both passes.
    """
    if backbone.distilled:
        return backbone.forward(x_t, t, condition | {"guidance": torch.full((len(x_t),), scale)})
    if scale == UNGUIDED:
        return backbone.forward(x_t, t, condition)
    given, empty = (_there(each, x_t.device) for each in (condition, unconditional))
    empty = given | {name: rows.expand(len(x_t), *rows.shape[1:]) for name, rows in empty.items()}
    both = {name: torch.cat([rows, empty[name]]) for name, rows in given.items()}
    found = backbone.forward(torch.cat([x_t, x_t]), torch.cat([t, t]), both)
    prompted, unprompted = found.output.chunk(2)
    levels = {name: getattr(found, name).chunk(2)[0] for name in ("alpha", "sigma")}
    return replace(found, output=unprompted + scale * (prompted - unprompted), x_t=x_t, **levels)


def _there(condition: Condition, place: torch.device) -> Condition:
    return {name: put(rows, place) for name, rows in condition.items()}
