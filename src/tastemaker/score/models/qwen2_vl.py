"""The network of HPSv3: Qwen2-VL, and a small head on the state of its reward token (arXiv 2508.03789)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Qwen2VLConfig, Qwen2VLModel

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.score.device import Dtype
from tastemaker.score.models.weights import fill, hollow, one_line, quiet, sizes, tensors_in

NAME = "hpsv3"
WIDTHS = (1024, 16, 2)
DROPOUT = 0.05
Batch = Mapping[str, Tensor]


class RewardQwen(nn.Module):
    """Qwen2-VL without its vocabulary at the end, and the head."""

    def __init__(self, config: Qwen2VLConfig) -> None:
        super().__init__()
        self.backbone = Qwen2VLModel(config)
        self.head = nn.Sequential(
            nn.Linear(config.text_config.hidden_size, WIDTHS[0]),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(WIDTHS[0], WIDTHS[1]),
            nn.ReLU(),
            nn.Linear(WIDTHS[1], WIDTHS[2]),
        )

    def reward(self, batch: Batch, token: int) -> Tensor:
        """Mean and spread, float32 [n, 2], of the state at the one ``token`` of each row; padded on the right.

        Positions just count, inside the image too: HPSv3 was trained without Qwen2-VL's positions in rows and columns.
        """
        ids = batch["input_ids"]
        places = torch.arange(ids.shape[1], device=ids.device).expand(3, *ids.shape)
        states = self.backbone(**batch, position_ids=places, use_cache=False).last_hidden_state
        read: Tensor = self.head(states[ids == token].float())
        return read


def load(config: Path, weights: Path, dtype: Dtype) -> RewardQwen:
    """The model in ``weights`` for the Qwen2-VL that ``config`` describes, in evaluation mode on the CPU.

    The vocabulary's size is read off the weights; the head is in float32 always. Raises `UserError` for files that do
    not fit.
    """
    tensors = renamed(tensors_in(NAME, [weights], dtype))
    tensors |= {name: tensor.float() for name, tensor in tensors.items() if name.startswith("head.")}
    rows = sizes(NAME, weights, tensors, "backbone.language_model.embed_tokens.weight", 2)[0]
    with quiet():
        found = _config(config, rows)
        with hollow():
            model = RewardQwen(found)
    fill(NAME, weights, model, tensors)
    return model


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `RewardQwen` from that of the original code, saved with an older or a newer transformers."""
    found = {}
    for name, tensor in tensors.items():
        if name.startswith("rm_head."):
            found[name.replace("rm_head.", "head.", 1)] = tensor
        elif name != "lm_head.weight":
            newer = re.sub(r"^model\.(?!language_model\.|visual\.)", "model.language_model.", name)
            found[re.sub(r"^(model\.)?(?=visual\.|language_model\.)", "backbone.", newer)] = tensor
    return found


def _config(path: Path, vocabulary: int) -> Qwen2VLConfig:
    found = read_json(path)
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind != "qwen2_vl":
        raise UserError(f"{NAME}: {path}: model_type {kind!r} is no Qwen2-VL; give base= the folder of it")
    try:
        config = Qwen2VLConfig.from_dict(found)
    except Exception as error:  # the library validates field by field and raises what it likes
        raise UserError(f"{NAME}: {path}: no configuration of a Qwen2-VL ({one_line(error)})") from None
    config.text_config.vocab_size = vocabulary
    return config
