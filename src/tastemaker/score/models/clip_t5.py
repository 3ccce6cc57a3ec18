"""The network of VQAScore: CLIP's patches, projected, among the words that a Flan-T5 reads.

CLIP-FlanT5 is Lin et al. 2024 (arXiv 2404.01291), built as LLaVA-1.5 (arXiv 2310.03744) on an encoder-decoder. The
checkpoint holds all three parts; its tower and its T5 are the classes of transformers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, T5Config, T5ForConditionalGeneration

from tastemaker.base.errors import UserError
from tastemaker.base.files import read_json
from tastemaker.score.device import Dtype
from tastemaker.score.models.weights import fill, hollow, layers, one_line, quiet, sizes, tensors_in

NAME = "vqascore"
TOWER = "vision_tower.vision_tower.vision_model."
PROJECTOR = "mm_projector."
HEADS = 16
"""Of ViT-L; how a width is split into heads cannot be read off the weights."""
TIED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "embed_tokens.weight")
"""Other names of T5's shared embedding; files may hold all of them or one."""
COMPUTED = f"{TOWER}embeddings.position_ids"
Config = dict[str, Any]


class ClipT5(nn.Module):
    """CLIP's vision tower, the projector, and T5."""

    def __init__(self, tower: CLIPVisionConfig, t5: T5Config) -> None:
        super().__init__()
        self.tower = CLIPVisionModel(tower)
        self.projector = nn.Sequential(
            nn.Linear(tower.hidden_size, t5.d_model), nn.GELU(), nn.Linear(t5.d_model, t5.d_model)
        )
        self.t5 = T5ForConditionalGeneration(t5)

    def look(self, pixels: Tensor) -> Tensor:
        """Words of the image [n, patches, d_model]: the states before the tower's last layer, without [CLS]."""
        states = self.tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        projected: Tensor = self.projector(states[:, 1:])
        return projected

    def likelihood(
        self, looked: Tensor, before: list[int], after: list[list[int]], answer: list[int], vocabulary: int
    ) -> Tensor:
        """exp(mean log p(answer's tokens)) [n] after the tokens ``before``, an image, and each row's ``after``.

        The mean is taken row by row; rows are padded on the right and masked, so that none depends on the others. p is
        over the first ``vocabulary`` tokens: T5 has some more that only fill up, and the original cuts them off.
        """
        embeds, mask = self._asked(looked, before, after)
        labels = torch.tensor([answer] * len(after), device=looked.device)
        logits: Tensor = self.t5(inputs_embeds=embeds, attention_mask=mask, labels=labels).logits
        chosen = logits[..., :vocabulary].float().log_softmax(-1).gather(-1, labels[..., None])[..., 0]
        return chosen.mean(1).exp()

    def _asked(self, looked: Tensor, before: list[int], after: list[list[int]]) -> tuple[Tensor, Tensor]:
        words = self.t5.get_input_embeddings()
        first = words(torch.tensor(before, device=looked.device))
        rows = [
            torch.cat([first, image, words(torch.tensor(rest, device=looked.device))])
            for image, rest in zip(looked, after, strict=True)
        ]
        lengths = torch.tensor([len(row) for row in rows], device=looked.device)
        embeds = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return embeds, torch.arange(embeds.shape[1], device=looked.device) < lengths[:, None]


def load(config: Path, weights: Sequence[Path], dtype: Dtype) -> ClipT5:
    """The model in ``weights`` for the T5 that ``config`` describes, in evaluation mode on the CPU.

    Widths and depth of tower and projector are read off the weights. Raises `UserError` for files that do not fit.
    """
    tensors = tensors_in(NAME, weights, dtype)
    with quiet():
        tower, t5 = _tower_config(weights[0], tensors), _t5_config(config)
        with hollow():
            model = ClipT5(tower, t5)
    fill(NAME, weights[0], model, renamed(tensors))
    return model


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `ClipT5` from that of the original code."""
    found = {}
    for name, tensor in tensors.items():
        if name.startswith(TOWER) and name != COMPUTED:
            found[f"tower.{name.removeprefix(TOWER)}"] = tensor
        elif name.startswith(PROJECTOR):
            found[f"projector.{name.removeprefix(PROJECTOR)}"] = tensor
        elif name not in (COMPUTED, *TIED):
            found[f"t5.{name}"] = tensor
    if shared := [tensors[name] for name in ("shared.weight", *TIED) if name in tensors]:
        found |= {f"t5.{name}": shared[0] for name in ("shared.weight", *TIED[:2])}
    return found


def _tower_config(path: Path, tensors: Mapping[str, Tensor]) -> CLIPVisionConfig:
    width, _, patch, _ = sizes(NAME, path, tensors, f"{TOWER}embeddings.patch_embedding.weight", 4)
    positions = sizes(NAME, path, tensors, f"{TOWER}embeddings.position_embedding.weight", 2)[0]
    if width % HEADS:
        raise UserError(f"{NAME}: {path}: a tower of width {width} does not make {HEADS} attention heads")
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=sizes(NAME, path, tensors, f"{TOWER}encoder.layers.0.mlp.fc1.weight", 2)[0],
        num_hidden_layers=layers(tensors, f"{TOWER}encoder.layers."),
        num_attention_heads=HEADS,
        image_size=math.isqrt(positions - 1) * patch,
        patch_size=patch,
        hidden_act="quick_gelu",
    )


def _t5_config(path: Path) -> T5Config:
    found = read_json(path)
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind not in ("clip_t5", "t5"):
        raise UserError(f"{NAME}: {path}: model_type {kind!r} is no CLIP-FlanT5; give zhiqiulin/clip-flant5-xl or -xxl")
    try:
        return T5Config.from_dict({**found, "model_type": "t5", "use_cache": False})
    except Exception as error:  # the library validates field by field and raises what it likes
        raise UserError(f"{NAME}: {path}: no configuration of a T5 ({one_line(error)})") from None
