"""What the papers' base models cost on one card: FLOPs counted, the card's speed and the use of it measured.

The use is that of `tastemaker train` with a LoRA of rank 64 and the recipe's batch (docs/results/gpu.md).
"""

from __future__ import annotations

from dataclasses import dataclass

TFLOPS = 790.0
"""Of one H200, bfloat16, dense, measured."""
VIT_H, VIT_L = 0.335, 0.162
"""TFLOP of an image at 224 pixels."""


@dataclass(frozen=True)
class Size:
    """Of a base model: TFLOP of one call of the U-Net and the encoder, share of `TFLOPS` used, and what it stores.

    ``lora`` and ``full`` are forward and backward, ``recomputed`` the same of a LoRA with gradient checkpointing.
    ``lora_weights`` and ``weights`` are numbers of parameters, ``prompt`` numbers of a prompt's embeddings.
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

    def seconds(self, tflop: float) -> float:
        """Seconds for ``tflop``."""
        return tflop / (TFLOPS * self.used)


SIZES = {
    "sd15": Size(0.803, 1.72, 2.31, 2.41, 1.12, 0.182, 512, 77 * 768, 12_754_944, 859_520_964),
    "sdxl": Size(6.76, 14.1, 19.3, 20.2, 4.88, 0.107, 1024, 77 * 2048 + 1280, 92_897_280, 2_567_463_684),
}
