"""Steps that the adapters of several model families share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tastemaker.base.errors import UserError
from tastemaker.process.prediction import Head
from tastemaker.process.schedule import Schedule, from_scheduler

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline, SchedulerMixin

HEAD_OF: dict[str, Head] = {"epsilon": "eps", "v_prediction": "v"}
"""The scheduler's ``prediction_type`` → the head."""
NO_SIGNAL = 2.0**-24
"""Signal power that diffusers' samplers write in place of zero."""


def freeze(pipeline: DiffusionPipeline) -> None:
    """Put every network of ``pipeline`` in evaluation mode, without gradients."""
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.requires_grad_(False).eval()


def noise_process(scheduler: SchedulerMixin) -> tuple[Schedule, Head]:
    """Schedule and head of a diffusion model, from the scheduler it was saved with.

    Raises `UserError` for a prediction type other than ε and v, and for ε on a schedule that ends without signal (Lin
    et al. 2023, arXiv:2305.08891, section 3): there x_t is ε itself, and the prediction says nothing of the image.
    """
    schedule, kind = from_scheduler(scheduler), getattr(scheduler.config, "prediction_type", None)
    if kind not in HEAD_OF:
        known = " or ".join(HEAD_OF)
        raise UserError(f"scheduler: prediction_type {kind!r} is not supported; use a model of {known}")
    if HEAD_OF[kind] == "eps" and ends_without_signal(schedule):
        raise UserError(
            "scheduler: rescale_betas_zero_snr leaves no signal at the last step, where a prediction of epsilon says "
            "nothing of the image; use a v_prediction model, or switch it off in scheduler_config.json"
        )
    return schedule, HEAD_OF[kind]


def ends_without_signal(schedule: Schedule) -> bool:
    """Whether x_t is nothing but noise at the last step."""
    return bool(schedule.alpha[-1].square() <= NO_SIGNAL)


def tokens(tokenizer: Any, prompts: Sequence[str], length: int | None = None) -> Any:
    """``input_ids`` and ``attention_mask`` [B, L] of ``prompts``, each padded or cut to ``length`` tokens.

    ``length`` is by default the tokenizer's own; the cut is silent, where a diffusers pipeline warns.
    """
    return tokenizer(
        list(prompts),
        padding="max_length",
        max_length=length or tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )


def number_format(network: nn.Module) -> torch.dtype:
    """What ``network`` computes in: the dtype of its first weight, since adapters inside may be wider than the rest."""
    return next(p.dtype for p in network.parameters() if p.is_floating_point())
