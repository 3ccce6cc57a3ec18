"""A small random image classifier, saved by transformers itself."""

from __future__ import annotations

from pathlib import Path

CLASSES = ("safe", "nsfw", "gore")


def save_tiny_vit(folder: Path) -> Path:
    """A ViT for images of 8 × 8 with three classes, and its processor."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    names = dict(enumerate(CLASSES))
    config = ViTConfig(**sizes, image_size=8, patch_size=4, id2label=names, label2id={v: k for k, v in names.items()})
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(folder)
    return folder
