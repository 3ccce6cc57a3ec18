"""Steps that the rectified-flow transformers share (Esser et al. 2024, arXiv:2403.03206)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from tastemaker.backbone.parts import tokens
from tastemaker.base.errors import UserError
from tastemaker.process.schedule import Schedule, from_scheduler

if TYPE_CHECKING:
    from diffusers import SchedulerMixin


def flow_process(scheduler: SchedulerMixin) -> Schedule:
    """The noise shares of the steps that training draws from, shifted as the model was trained.

    Raises `UserError` for another scheduler: diffusers' solvers carry the ᾱ of some diffusion model even where they
    are set to solve a flow, so the steps of the model's own training cannot be read from them.
    """
    if not isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        name = type(scheduler).__name__
        raise UserError(
            f"scheduler: {name} says nothing of a flow; save the model with FlowMatchEulerDiscreteScheduler"
        )
    return from_scheduler(scheduler)


def t5_embeds(tokenizer: Any, encoder: Any, prompts: Sequence[str], length: int) -> Tensor:
    """T5's last hidden state [B, ``length``, D] in float32. Padding is read like words, as in the pipelines."""
    ids = tokens(tokenizer, prompts, length).input_ids.to(encoder.device)
    embeds: Tensor = encoder(ids)[0]
    return embeds.float()


def whole_patches(latents: Tensor, patch: int) -> None:
    """Raise `UserError` when a side of ``latents`` [B, C, H, W] is no multiple of ``patch``."""
    height, width = latents.shape[-2:]
    if height % patch or width % patch:
        raise UserError(f"latents of {height}×{width}: both sides must be multiples of {patch}, this model's patch")
