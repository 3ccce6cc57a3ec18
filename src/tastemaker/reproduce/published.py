"""What the papers print; a cell that our source does not have is not here.

QSD: "Effective Text-to-Image Alignment with Quality Aware Pair Ranking". DDE: arXiv 2411.14871. D3PO: arXiv 2311.13231.
"""

from __future__ import annotations

QSD_METRICS = ("Aesthetic", "ImageReward", "PickScore", "HPSv2")

TABLE1 = {
    ("sd15", "DPO"): (5.39, 0.27, 20.78, 26.34),
    ("sd15", "DPO-QSD"): (5.62, 0.70, 21.26, 30.14),
    ("sdxl", "DPO"): (5.97, 0.85, 22.20, 29.40),
    ("sdxl", "DPO-QSD"): (6.21, 1.09, 22.42, 31.62),
}
SHARES = {"DPO": 1.0, "DPO-QSD": 0.0533}
"""Of the pairs, in tables 1 and 4."""
TABLE2 = {
    "SLiC-HF": (5.45, 0.33, 20.93, 26.71),
    "SLiC-HF-QSD": (5.69, 0.72, 21.24, 29.65),
    "ORPO": (5.51, 0.30, 20.57, 26.97),
    "ORPO-QSD": (5.60, 0.60, 20.80, 28.25),
}
TABLE2_SHARES = {"SLiC-HF": 1.0, "SLiC-HF-QSD": 0.0533, "ORPO": 1.0, "ORPO-QSD": 0.106}
TABLE3 = {
    "DPO": (5.39, 0.27, 20.78, 26.34),
    "ImageReward": (5.40, 0.32, 20.88, 26.91),
    "Aesthetic": (5.80, 0.49, 21.09, 27.30),
    "PickScore": (5.44, 0.38, 21.05, 27.52),
    "HPSv2": (5.62, 0.70, 21.26, 30.14),
}
TABLE3_SHARES = {"DPO": 1.0, "ImageReward": 1.0, "Aesthetic": 0.16, "PickScore": 0.0533, "HPSv2": 0.0533}
"""Of the pairs; the rows in the paper's order."""
TABLE4 = {
    (32, "DPO"): (5.43, 0.25, 20.93, 26.39),
    (32, "DPO-QSD"): (5.58, 0.68, 21.24, 29.82),
    (64, "DPO"): (5.39, 0.27, 20.78, 26.34),
    (64, "DPO-QSD"): (5.62, 0.70, 21.26, 30.14),
    (256, "DPO"): (5.42, 0.35, 20.91, 26.65),
    (256, "DPO-QSD"): (5.66, 0.70, 21.24, 30.06),
}
STUDY = {
    "sdxl": {"alignment": 0.70, "appeal": 0.64, "preference": 0.62},
    "sd15": {"alignment": 0.54, "appeal": 0.55, "preference": 0.58},
}
"""Share of the majorities that prefer QSD to the baseline (figure 5)."""

DDE_GAINS = {
    "sd15": {"CLIP": 0.067, "HPS": 0.039, "PickScore": 0.033},
    "sdxl": {"CLIP": 0.014, "HPS": 0.010, "PickScore": 0.031},
}
"""Gains of DDE over the base, as shares of the base's scores."""
DDE_METRICS = ("CLIP", "HPSv2", "PickScore")
"""The same three as our judges are called."""
DDE_UNIFORM_CLIP = 0.331
"""CLIP score of uniform credit after 2000 iterations, Stable Diffusion 1.5."""

D3PO_HANDS = (0.284, 0.139)
D3PO_UNSAFE = (0.250, 0.030)
"""Share of the images before and after."""
D3PO_PREFERENCE = 0.703
"""Win rate against the base, by people."""
