"""Entries of metrics.json: standard errors, modes, groups and Holm by hand, and the table made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.metrics import table
from tastemaker.evaluate.options import Options
from tastemaker.evaluate.results import results, summarise
from tastemaker.evaluate.winrate import wilcoxon_p

GROUPS = {"category": ["animals", "", "food", "animals"]}
BASE = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [5.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
TUNED = np.array([[9.0, 2.0, 1.0], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [2.0, 3.0, 4.0]])


def options(*scorers: str, **named: Any) -> Options:
    settings = {"epsilon": dict.fromkeys(scorers, 0.0), "resamples": 200, **named}
    return Options(models=("base", "tuned"), scorers=scorers, **settings)


def entries(scores: dict[tuple[str, str], np.ndarray], **named: Any) -> dict[tuple[str, str], dict[str, Any]]:
    scorers = tuple(dict.fromkeys(scorer for scorer, _ in scores))
    found = results(scores, options(*scorers, **named), GROUPS, {})
    return {(entry["scorer"], entry["model"]): entry for entry in found}


def test_standard_error_counts_prompts() -> None:
    """Means 2, 0, 7/3, 2 of the prompts: s / √4; with one sample a prompt it is the usual s / √n."""
    means = np.array([2, 0, 7 / 3, 2])
    assert summarise(BASE)["sem"] == pytest.approx(means.std(ddof=1) / 2)
    one = summarise(BASE[:, :1])
    assert one["sem"] == pytest.approx(one["std"] / math.sqrt(4))
    assert summarise(BASE[:1])["sem"] is None
    copies = summarise(np.repeat(BASE[:, :1], 8, axis=1))
    assert copies["sem"] == pytest.approx(one["sem"])


def test_an_unscored_image_is_left_out() -> None:
    found = summarise(np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]]))
    assert (found["mean"], found["images"], found["unscored"]) == (3, 3, 3)
    assert found["sem"] == pytest.approx(np.std([1, 4], ddof=1) / math.sqrt(2))


def test_modes_by_hand() -> None:
    """Means 2, 0, 7/3, 2 → 4, 1, 2, 3: win, win, loss, win. Medians 2, 0, 1, 2 → 2, 1, 2, 3: a tie and three wins.

    Best 3, 0, 5, 2 → 9, 1, 2, 4: win, win, loss, win with mean difference (6 + 1 − 3 + 2)/4.
    """
    entry = entries({("s", "base"): BASE, ("s", "tuned"): TUNED})["s", "tuned"]
    mean, median, best = entry["against_base"], entry["by_mode"]["median"], entry["by_mode"]["best"]
    assert [(found["wins"], found["ties"], found["losses"]) for found in (mean, median, best)] == [
        (3, 0, 1), (3, 1, 0), (3, 0, 1)
    ]  # fmt: skip
    assert mean["mean_difference"] == pytest.approx((2 + 1 - 1 / 3 + 1) / 4)
    assert median["mean_difference"] == pytest.approx(3 / 4)
    assert best["mean_difference"] == pytest.approx(1.5)
    assert mean.keys() == median.keys() == best.keys()


def test_one_sample_has_no_modes_and_the_base_none() -> None:
    single = entries({("s", "base"): BASE[:, :1], ("s", "tuned"): TUNED[:, :1]})
    assert all("by_mode" not in entry for entry in single.values())
    assert entries({("s", "base"): BASE, ("s", "tuned"): TUNED})["s", "base"]["by_mode"] is None


def test_groups_by_hand() -> None:
    """Animals are prompts 0 and 3: mean of tuned (12 + 9)/6, differences 2 and 1; the prompt of no group is in none."""
    found = entries({("s", "base"): BASE, ("s", "tuned"): TUNED})
    group = found["s", "tuned"]["by_group"]
    assert list(group) == ["category"]
    assert list(group["category"]) == ["animals", "food"]
    animals = group["category"]["animals"]
    assert (animals["prompts"], animals["mean"]) == (2, 3.5)
    assert (animals["against_base"]["wins"], animals["against_base"]["mean_difference"]) == (2, 1.5)
    assert group["category"]["food"]["against_base"]["losses"] == 1
    assert found["s", "base"]["by_group"]["category"]["animals"]["against_base"] is None


def test_a_group_of_all_prompts_is_the_whole() -> None:
    scores = {("s", "base"): BASE, ("s", "tuned"): TUNED}
    (_, whole) = results(scores, options("s"), {"all": ["x"] * 4}, {})
    inside = whole["by_group"]["all"]["x"]["against_base"]
    assert {**inside, "p_holm": whole["against_base"]["p_holm"]} == whole["against_base"]


def test_holm_over_the_scorers_that_are_judges() -> None:
    """Three scorers, one named by the user, one found in the run's files: only the others are corrected together."""
    generator = np.random.default_rng(0)
    scores = {}
    for number, scorer in enumerate(("a@1", "b@1", "c@1", "d@1")):
        scores[scorer, "base"] = generator.normal(size=(30, 2))
        scores[scorer, "tuned"] = scores[scorer, "base"] + generator.normal(0.1 * number, 0.5, size=(30, 2))
    groups = {"g": ["x"] * 30}
    asked = options(*(f"{name}@1" for name in "abcd"), trained_with=("a@1",))
    found = {(e["scorer"], e["model"]): e for e in results(scores, asked, groups, {"tuned": ["b@1"]})}
    of = {name: found[f"{name}@1", "tuned"] for name in "abcd"}
    assert [of[name]["in_training"] for name in "abcd"] == [True, True, False, False]
    assert [found[f"{name}@1", "base"]["in_training"] for name in "abcd"] == [True, False, False, False]
    assert of["a"]["against_base"]["p_holm"] is None
    assert of["b"]["by_mode"]["best"]["p_holm"] is None
    raw = [wilcoxon_p((scores[f"{name}@1", "tuned"] - scores[f"{name}@1", "base"]).mean(1)) for name in ("c", "d")]
    assert [of[name]["against_base"]["p_holm"] for name in ("c", "d")] == pytest.approx(holm(raw))
    best = [of[name]["by_mode"]["best"] for name in ("c", "d")]
    assert [mode["p_holm"] for mode in best] == pytest.approx(holm([mode["p_wilcoxon"] for mode in best]))


METRICS: dict[str, Any] = {
    "models": ["base", "a|b"],
    "confidence": 0.95,
    "prompts": 10,
    "samples": 4,
    "choose": "median:s@1",
    "diversity": {"base": {"value": 0.3, "low": 0.28, "high": 0.32}, "a|b": {"value": 0.2, "low": 0.18, "high": 0.27}},
    "drift": {"base": None, "a|b": {"value": 0.25, "low": 0.2, "high": 0.3}},
    "embedding": None,
    "inception": {
        "classifier": "net@1",
        "splits": 10,
        "models": {name: {"score": 8.5, "std": 0.25, "images": 40} for name in ("base", "a|b")},
    },
    "safety": {
        "classifier": "guard@1",
        "unsafe": ["nsfw"],
        "threshold": 0.5,
        "models": {name: {"rate": 0.125, "low": 0.1, "high": 0.2, "images": 40} for name in ("base", "a|b")},
    },
}


def a_table(change: dict[str, Any] | None = None) -> list[str]:
    shifted = {("s@1", "base"): BASE[:, :1], ("s@1", "a|b"): BASE[:, :1] + [[1.0], [2.0], [3.0], [4.0]]}
    asked = Options(models=("base", "a|b"), scorers=("s@1",), epsilon={"s@1": 0.0}, choose="s@1", resamples=100)
    return table(METRICS | {"results": results(shifted, asked, {}, {})} | (change or {})).splitlines()


def test_the_table_says_what_there_is() -> None:
    lines = a_table()
    assert lines[0].endswith("| win / tie / loss | p (Holm) |")
    assert lines[2] == "| s@1 ‡ | base | 2.000 | 1.500 |  |  |  |  |"
    assert lines[3].startswith("| s@1 ‡ | a\\|b | 4.500 | 4.000 | +2.5000 (+1.")
    assert lines[3].endswith("| 1.000 (1.000 to 1.000) | 4 / 0 / 0 | 0.125 |")
    assert "| model | diversity (95%) | drift (95%) | Inception Score | unsafe share (95%) |" in lines
    assert "| base | 0.300 (0.280 to 0.320) | – | 8.50 ± 0.25 | 0.125 (0.100 to 0.200) |" in lines
    assert "10 prompts × 4 samples, of which every scorer judges the one with the median s@1." in lines
    assert "‡ chose which sample is judged." in lines
    assert "Inception Score by net@1, 40 images a model in 10 splits." in lines
    assert "Unsafe is what guard@1 gives more than 0.5 of probability to: nsfw." in lines


def test_a_fall_of_diversity_is_said() -> None:
    """0.27 lies below 0.28, interval from interval; where they touch nothing is said."""
    (warning,) = [line for line in a_table() if line.startswith("a|b: images of one prompt")]
    assert warning.endswith("s@1 rose: it may be reward hacking.")
    touching = {"base": METRICS["diversity"]["base"], "a|b": {"value": 0.2, "low": 0.18, "high": 0.28}}
    for diversity in (touching, {"base": None, "a|b": None}):
        assert not [line for line in a_table({"diversity": diversity}) if "more alike" in line]


def test_a_file_of_an_older_version_has_a_table() -> None:
    old = {name: METRICS[name] for name in ("models", "confidence", "prompts", "samples")}
    entry = {"scorer": "s@1", "model": "base", "in_training": True, "mean": 1.0, "median": None, "against_base": None}
    lines = table(old | {"results": [entry]}).splitlines()
    assert lines[2] == "| s@1 † | base | 1.000 | – |  |  |  |  |"
    assert lines[-1] == "† took part in training or in selecting its data: no independent judge."
