"""What came out of the demo: win rates, means, and how well Q found the wrong labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tastemaker.world.sample import TRUTH

BASE, RANKED, ALL, RANDOM = "base", "qsd", "all_pairs", "random_subset"
"""The untrained model, the one trained on the best pairs, and the two controls."""
TRAINED = (RANKED, ALL, RANDOM)
ONLINE = "d3po"
"""The model that learned from choices on its own fresh samples."""
FOUND = ("auroc_q", "auroc_margin", "wrong_all", "wrong_kept")
UTILITY, CORRECT = "world-utility", "world-correct"


def verdict(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of `summary.json`: win rate on utility with its interval, controls, before and after."""
    found = {(entry["scorer"].partition("@")[0], entry["model"]): entry for entry in metrics["results"]}
    after = found[UTILITY, RANKED]["against_base"]
    difference = {key: after[key] for key in ("mean_difference", "mean_difference_low", "mean_difference_high")}
    return {
        "prompts": metrics["prompts"],
        **_win_rate(after),
        **difference,
        "utility_before": found[UTILITY, BASE]["mean"],
        "utility_after": found[UTILITY, RANKED]["mean"],
        "correct_before": found[CORRECT, BASE]["mean"],
        "correct_after": found[CORRECT, RANKED]["mean"],
        "controls": {name: _control(found, name) for name in (ALL, RANDOM)},
        **({ONLINE: _control(found, ONLINE)} if (UTILITY, ONLINE) in found else {}),
    }


def _win_rate(entry: Mapping[str, float]) -> dict[str, float]:
    return {key: entry[key] for key in ("win_rate", "win_rate_low", "win_rate_high")}


def _control(found: Mapping[tuple[str, str], Mapping[str, Any]], name: str) -> dict[str, float]:
    means = {"utility_after": found[UTILITY, name]["mean"], "correct_after": found[CORRECT, name]["mean"]}
    return _win_rate(found[UTILITY, name]["against_base"]) | means


def detection(out: Path, source: Path) -> dict[str, Any]:
    """How well Q, and the plain margin ψ_w − ψ_l, tell right labels from wrong ones: only here is the truth read."""
    import pyarrow.parquet as pq

    from tastemaker.evaluate.detection import auroc
    from tastemaker.rank.ranking import read_pairs

    truth = pq.read_table(source / TRUTH).to_pylist()
    wrong = {frozenset((row["image_0"], row["image_1"])): row["wrong"] for row in truth}
    pairs = read_pairs(out / "ranked" / ALL)
    right = [not wrong[frozenset((pair.winner, pair.loser))] for pair in pairs]
    quality = [pair.quality for pair in pairs]
    margin = [(pair.psi_winner or 0.0) - (pair.psi_loser or 0.0) for pair in pairs]
    kept = {pair.pair_id for pair in read_pairs(out / "ranked" / RANKED)}
    wrong_kept = [not good for good, pair in zip(right, pairs, strict=True) if pair.pair_id in kept]
    return {
        "right": right,
        "quality": quality,
        "auroc_q": auroc(right, quality),
        "auroc_margin": auroc(right, margin),
        "wrong_all": 1 - sum(right) / len(right),
        "wrong_kept": sum(wrong_kept) / len(wrong_kept),
    }
