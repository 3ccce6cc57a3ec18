"""A tiny random CLIP-FlanT5 as its authors save it, and a T5 vocabulary of single letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.?\"'<>0123456789:"
SIDE, PATCH, WIDTH, HIDDEN = 336, 112, 32, 24


class Parts(NamedTuple):
    """What the checkpoint is made of."""

    tower: Any
    projector: torch.nn.Sequential
    t5: Any


def save_tiny(folder: Path, side: int = SIDE) -> Parts:
    """Write ``config.json`` and ``pytorch_model.bin`` to ``folder``, the tokenizer below it; return the parts."""
    folder.mkdir(parents=True)
    parts = _parts(side)
    tokenizer().save_pretrained(folder / "flan")
    torch.save(state(parts), folder / "pytorch_model.bin")
    mm = dict(mm_vision_tower="openai/clip-vit-large-patch14-336", mm_projector_type="mlp2x_gelu")
    config = parts.t5.config.to_dict() | mm | {"model_type": "clip_t5", "architectures": ["CLIPT5ForCond…"]}
    (folder / "config.json").write_text(json.dumps(config))
    return parts


def state(parts: Parts) -> dict[str, torch.Tensor]:
    """Names as the original module has them: the tower two levels deep, T5's embedding under all of its names."""
    seen = "vision_tower.vision_tower.vision_model."
    tower = {f"{seen}{name}": value for name, value in parts.tower.state_dict().items()}
    projector = {f"mm_projector.{name}": value for name, value in parts.projector.state_dict().items()}
    t5 = parts.t5.state_dict()
    old = {f"{seen}embeddings.position_ids": torch.arange(10)[None]}
    return tower | projector | t5 | old | {"embed_tokens.weight": t5["shared.weight"]}


def tokenizer() -> Any:
    """Pieces are letters, the space before a word one of its own; ``Yes`` is a piece."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁Yes", -1.0), ("▁", -2.0)]
    return T5Tokenizer(vocab=pieces + [(letter, -3.0) for letter in LETTERS], extra_ids=2)


def _parts(side: int) -> Parts:
    from transformers import CLIPVisionConfig, CLIPVisionModel, T5Config, T5ForConditionalGeneration

    seen = dict(hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=3, num_attention_heads=16)
    tower = CLIPVisionConfig(**seen, image_size=side, patch_size=PATCH)
    read = dict(d_model=HIDDEN, d_kv=8, d_ff=32, num_layers=2, num_decoder_layers=2, num_heads=3)
    flan = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0)
    t5 = T5Config(vocab_size=len(tokenizer()) + 9, **read, **flan)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = CLIPVisionModel(tower).eval(), T5ForConditionalGeneration(t5).eval()
        projector = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, HIDDEN), torch.nn.GELU(), torch.nn.Linear(HIDDEN, HIDDEN)
        )
        for parameter in (*made[0].parameters(), *made[1].parameters()):
            parameter.data += 0.15 * torch.randn_like(parameter)
    return Parts(made[0], projector, made[1])
