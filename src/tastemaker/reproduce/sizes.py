"""What the papers' base models cost on one card: FLOPs counted, the card's speed and the use of it measured.

The use is that of `tastemaker train` with the recipe's batch (docs/results/gpu.md).
"""

from __future__ import annotations

from dataclasses import dataclass

TFLOPS = 790.0
"""Of one H200, bfloat16, dense, measured."""
FLOAT32_USED = 0.0556
"""Share of it in training of all weights, which is in float32: measured for SD1.5 and taken for SDXL."""
VIT_H, VIT_L = 0.335, 0.162
"""TFLOP of an image at 224 pixels."""


@dataclass(frozen=True)
class Size:
    """Of a base model: TFLOP of one call of the U-Net and the encoder, share of `TFLOPS` used, and what it stores.

    ``used`` is that of a LoRA of rank 64. ``lora`` and ``full`` are forward and backward, ``recomputed`` the same of a
    LoRA with gradient checkpointing. ``lora_weights`` and ``weights`` are numbers of parameters, ``prompt`` numbers of
    a prompt's embeddings.
    """

    forward: float
    lora: float
    recomputed: float
    full: float
    encode: float
    used: float
    side: int
    prompt: int
    lora_weights: int
    weights: int

    def seconds(self, tflop: float, used: float | None = None) -> float:
        """Seconds for ``tflop`` at this share of `TFLOPS`, the LoRA's if not given."""
        return tflop / (TFLOPS * (used or self.used))


SIZES = {
    "sd15": Size(0.803, 1.72, 2.31, 2.41, 1.12, 0.206, 512, 77 * 768, 12_754_944, 859_520_964),
    "sdxl": Size(6.76, 14.1, 19.3, 20.2, 4.88, 0.107, 1024, 77 * 2048 + 1280, 92_897_280, 2_567_463_684),
}
