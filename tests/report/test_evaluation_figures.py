"""Win rates as dots, and diversity and drift against score: what they show, which models they name, hostile names."""

from __future__ import annotations

from typing import Any

import pytest

from tastemaker.report import dots, hacking, sections
from tastemaker.report.page import Figure, render

HOSTILE = "<b>$x^2$</b>"


def versus(rate: float, gain: float = 0.1) -> dict[str, Any]:
    """Intervals are the value ± 0.05."""
    limits = {"win_rate_low": rate - 0.05, "win_rate_high": rate + 0.05}
    limits |= {"mean_difference_low": gain - 0.05, "mean_difference_high": gain + 0.05}
    counts = {"prompts": 8, "wins": 5, "ties": 1, "losses": 2}
    return counts | {"win_rate": rate, "mean_difference": gain} | limits


def metrics(groups: int = 3) -> dict[str, Any]:
    """Two scorers and three models: `up` gains by both scorers, `flat` by none."""
    results = []
    for scorer in ("hps@2.1", "trained@1"):
        for model, rate, gain in (("base", None, 0), ("up", 0.8, 0.2), (HOSTILE, 0.5, 0.01)):
            against = None if rate is None else versus(rate, gain)
            values = {
                f"v{n}": {
                    "prompts": n + 1,
                    "mean": 0,
                    "against_base": rate and versus(rate - 0.01 * n) | {"prompts": n + 1},
                }
                for n in range(groups)
            }
            results.append(
                {"scorer": scorer, "model": model, "in_training": scorer[0] == "t", "mean": 1.0, "median": 1.0}
                | {"against_base": against, "by_group": {"style": values}}
                | {"by_mode": rate and {"median": versus(rate), "best": versus(rate - 0.1)}}
            )
    return {
        "models": ["base", "up", HOSTILE], "scorers": ["hps@2.1", "trained@1"], "results": results, "confidence": 0.95,
        "prompts": 8, "samples": 2, "groups": {"style": [f"v{n}" for n in range(groups)]}, "trained_with": [],
        "epsilon": {},
    }  # fmt: skip


def limits(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def with_images(up: float) -> dict[str, Any]:
    """The base's diversity is 0.5 ± 0.1, that of `up` as given, ± 0.1; drift of `up` alone is known."""
    made = metrics()
    made["diversity"] = {"base": limits(0.5), "up": limits(up), HOSTILE: limits(0.1)}
    return made | {"drift": {"base": None, "up": limits(0.3), HOSTILE: None}}


def test_groups_by_hand() -> None:
    (figure,) = dots.by_group(metrics())
    assert figure.name == "winrates-by-1"
    assert (
        "against base by style, with 95% bootstrap intervals over the prompts of each (1 to 3 prompts)"
        in figure.caption
    )
    rows = list(zip(*figure.data.values(), strict=True))
    assert len(rows) == 2 * 2 * 3
    assert rows[1] == ("hps@2.1", "v1", "up", 0.8 - 0.01, 0.8 - 0.06, 0.8 + 0.04, 2)
    assert "trained †" in figure.wide
    assert "hps †" not in figure.wide
    assert "trained@1, v2, up: 0.780 (0.730 to 0.830)" in figure.alt


def test_best_group_is_on_top_and_only_the_largest_are_drawn() -> None:
    """Of 30 groups with 1 … 30 prompts the 24 largest stand in order of the first model's win rate."""
    made = metrics(groups=30)
    found = list(dots._of_groups(made, "style"))
    assert dots._shown(found, True) == [f"v{n}" for n in range(6, 30)]
    assert dots._shown(found, False) == [f"v{n}" for n in range(29, 5, -1)]
    (figure,) = dots.by_group(made)
    assert "Not drawn, but in the numbers: 6 lines with few prompts." in figure.caption
    assert len(figure.data["line"]) == 2 * 2 * 30


def test_modes_by_hand() -> None:
    (figure,) = dots.by_mode(metrics())
    rows = list(zip(*figure.data.values(), strict=True))
    assert [(row[1], row[3]) for row in rows if row[:3:2] == ("hps@2.1", "up")] == [
        ("mean", 0.8), ("median", 0.8), ("best", pytest.approx(0.7))
    ]  # fmt: skip
    assert "2 samples" in figure.caption


@pytest.mark.parametrize(("up", "named"), [(0.29, ["up"]), (0.31, []), (0.9, [])])
def test_hacking_is_score_up_and_diversity_down_interval_from_interval(up: float, named: list[str]) -> None:
    """0.29 + 0.1 < 0.5 − 0.1 < 0.31 + 0.1; the other model's diversity is lowest, but its score did not rise."""
    made = with_images(up)
    assert hacking.suspects(made, "trained@1") == named
    (figure,) = hacking.plot(made)
    assert ("It may be reward hacking" in figure.caption) == bool(named)
    assert "the score by trained@1" in figure.caption


def test_hacking_figure_by_hand() -> None:
    made = with_images(0.3)
    made["embedding"] = {"scorer": "clip@1", "diversity": {"base": limits(0.7)}, "drift": {"base": None}}
    (figure,) = hacking.plot(made)
    rows = list(zip(*figure.data.values(), strict=True))
    assert rows[0] == ("diversity", "pixels", "base", 0.5, 0.4, 0.6, "hps@2.1", 0.0, 0.0, 0.0)
    assert rows[1] == ("diversity", "pixels", "up", 0.3, 0.3 - 0.1, 0.4, "hps@2.1", 0.2, 0.2 - 0.05, 0.25)
    assert len(rows) == (3 + 1 + 1) * 2
    for title in ("diversity (pixels)", "drift (pixels)", "diversity (clip)"):
        assert title in figure.wide
    assert "drift (clip)" not in figure.wide


def test_older_evaluations_have_none_of_it() -> None:
    made = metrics()
    del made["groups"]
    for entry in made["results"]:
        del entry["by_mode"], entry["by_group"]
    names = [part.name for part in sections.result(made).parts if isinstance(part, Figure)]
    assert names == ["winrates"]
    made |= {"diversity": dict.fromkeys(made["models"]), "drift": None, "embedding": None, "groups": {}}
    assert len(sections.result(made).parts) == 3


def test_names_are_only_text() -> None:
    """Neither markup nor formulas: a model called so is spelled out in every figure."""
    section = sections.result(with_images(0.3))
    figures = [part for part in section.parts if isinstance(part, Figure)]
    assert [figure.name for figure in figures] == ["winrates", "winrates-samples", "winrates-by-1", "hacking"]
    for figure in figures:
        assert "&lt;b&gt;$x^2$&lt;/b&gt;" in figure.wide
    assert "<b>$" not in render("x", [section])
