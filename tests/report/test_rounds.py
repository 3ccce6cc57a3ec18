"""The section about an online run: numbers by hand, what is said, what is shown of people's runs, hostile texts."""

from __future__ import annotations

import html
import math
import re
from pathlib import Path

import pytest

from support.report_example import write_run
from support.rounds_example import SCORER, page, strips, write_online
from tastemaker.method.clip import RatioClip
from tastemaker.method.evidence import Transition
from tastemaker.method.method import Credit, Method
from tastemaker.method.pairwise import Logistic, Squared
from tastemaker.report import curves, inputs, rounds
from tastemaker.report.page import Figure
from tastemaker.train.recipe import d3po

HOSTILE = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def figures(run: Path) -> dict[str, Figure]:
    return drawn(run)


def drawn(run: Path) -> dict[str, Figure]:
    """By the first word of their names."""
    found = [part for part in rounds.learning(run).parts if isinstance(part, Figure)]
    return {figure.name.partition("-")[0]: figure for figure in found}


def words(run: Path) -> str:
    return " ".join(rounds.says(inputs.read_online(run)))


def test_a_round_s_interval_by_hand(figures: dict[str, Figure]) -> None:
    """Prompt means of round 0 are .2 and .4: mean .3, s = .1 √2, half an interval 1.96 s / √2 = .196; round 1 is .3 up.

    Two prompts with three images each: six images lie before round 1.
    """
    data = figures["rounds"].data
    assert (data["round"], data["images"]) == ([0, 1], [0, 6])
    assert data[SCORER] == pytest.approx([0.3, 0.6])
    assert data[f"{SCORER} low"] == pytest.approx([0.104, 0.404])
    assert data[f"{SCORER} high"] == pytest.approx([0.496, 0.796])
    assert data["diversity"] == [0.2, 0.1]
    assert "diversity low" not in data


def test_samples_of_a_prompt_are_no_independent_witnesses() -> None:
    """The mean over prompts alone: values 1, 2, 3 have s = 1 and half an interval 1.96 / √3; one has none."""
    assert inputs.mean([1.0, 2.0, 3.0]) == pytest.approx((2.0, 1.96 / math.sqrt(3)))
    assert inputs.mean([2.0])[0] == 2.0
    assert math.isnan(inputs.mean([2.0]).half)


def test_what_is_said(run: Path) -> None:
    """From .2 to .1 diversity fell by a half; 2 of 6 comparisons were ties in both rounds."""
    said = words(run)
    for part in (
        "2 rounds of 2 prompts with 3 images each",
        "12 images in all",
        f"Mean reward of the first and the last round: {SCORER} 0.3000 → 0.6000.",
        "fell by 50.0%, from 0.2000 to 0.1000. That is more than a third and may be a collapse",
        "Of 12 comparisons 33.3% were ties.",
        "The ratio clip (ε = 0.1) keeps the loss within 1.5% of ln 2",
        "look at the margin",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("last", "part", "collapse"),
    [(0.15, "fell by 25.0%", False), (0.13, "fell by 35.0%", True), (0.25, "rose by 25.0%", False)],
)
def test_a_collapse_is_a_fall_by_more_than_a_third(run: Path, last: float, part: str, collapse: bool) -> None:
    online = inputs.read_online(run)
    online.rounds[1]["diversity"] = last  # type: ignore[index]
    said = " ".join(rounds.says(online))
    assert part in said
    assert ("collapse" in said) == collapse


def test_how_far_the_clip_lets_the_loss_go() -> None:
    """|m| ≤ ln 1.1 − ln 0.9 and z = m/10: the loss rises at most to ln(1 + exp(z)), 1.455 % above ln 2.

    Of the squared link with β = 1, z = m/2: (z + ½)² = ¼ (1 + 2 z)², z = .100335, is 44.2 % above ¼.
    """
    z = (math.log(1.1) - math.log(0.9)) / 10
    start, reach = rounds.clip_reach(d3po())
    assert start == pytest.approx(math.log(2))
    assert reach == pytest.approx(math.log1p(math.exp(z)) / math.log(2) - 1)
    assert 0.0145 < reach < 0.0146
    clip = Credit(correction=RatioClip())
    start, reach = rounds.clip_reach(Method(evidence=Transition(), credit=clip, link=Squared(beta=1)))
    assert (start, reach) == pytest.approx((0.25, (1 + 10 * z) ** 2 - 1))


def test_a_run_without_a_clip_says_nothing_of_one(run: Path) -> None:
    online = inputs.read_online(run)
    method = Method(evidence=Transition(), link=Logistic(beta=0.2))
    free = inputs.Online(
        run, online.recipe.model_copy(update={"method": method}), online.columns, online.rounds, online.rewards
    )
    assert len(rounds.says(free)) == 2
    assert "clip" not in " ".join(rounds.says(free))


def test_ratios_are_those_of_the_training_lines(figures: dict[str, Figure]) -> None:
    """Eight steps of 16 pairs; the lines that begin a round have none of it and are left out."""
    figure = figures["clip"]
    assert figure.data["pairs_seen"] == [16 * step for step in range(1, 9)]
    assert figure.data["margin"] == [0.01 * step for step in range(1, 9)]
    assert list(figure.data)[1:] == [
        "margin", "accuracy", "clipped", "clipped_wrong", "ratio_winner", "ratio_loser"
    ]  # fmt: skip
    for legend in ("at all", "on the wrong side", "winner", "loser"):
        assert f">{legend}<" in figure.wide


def test_margins_by_step_by_hand(figures: dict[str, Figure]) -> None:
    """t = 2: (3 · −.2 + .2) / 4 = −.1, a quarter above 0; t = 7: .2, all of them."""
    data = figures["steps"].data
    assert (data["t"], data["pairs"]) == ([2, 7], [4, 2])
    assert data["mean margin"] == pytest.approx([-0.1, 0.2])
    assert data["share of margins above 0"] == [0.25, 1.0]


def test_people_as_judges_leave_no_rewards(tmp_path: Path) -> None:
    run = write_online(tmp_path / "people", scorer=None)
    assert not (run / "rounds/round-000/rewards.parquet").exists()
    assert list(drawn(run)["rounds"].data) == ["round", "images", "diversity"]
    assert "No scorer rated them." in words(run)


def test_one_round(tmp_path: Path) -> None:
    said = words(run := write_online(tmp_path / "one", rounds=1))
    assert "1 round of 2 prompts" in said
    assert f"Mean reward: {SCORER} 0.3000." in said
    assert "of a prompt, is 0.2000." in said
    assert len(strips(run)) == 1
    assert "Learning from fresh samples: one" in page(tmp_path / "r.html", run)


def test_a_round_without_a_logged_step(tmp_path: Path) -> None:
    """Its images are shown; there is no curve yet, neither here nor under Training."""
    run = write_online(tmp_path / "begun", rounds=1)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text(lines[0] + "\n")
    (run / "memory.safetensors").unlink()
    text = page(tmp_path / "r.html", run)
    assert list(drawn(run)) == ["rounds"]
    assert "No step of the training is logged yet." in text


def test_the_verb_puts_the_section_after_the_training(run: Path, tmp_path: Path) -> None:
    offline = write_run(tmp_path / "offline")
    text = page(tmp_path / "r.html", offline, run)
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", text)
    assert headings == ["Training", "Learning from fresh samples: two rounds", "Settings and versions"]
    assert "1 model was trained on comparisons. 1 model learned from comparisons of its own fresh images." in text
    names = {path.name.partition("-")[0] for path in (tmp_path / "r-data").glob("*.csv")}
    assert names == {"training.csv", "rounds", "clip", "steps"}
    assert "Recipe of two rounds" in text


def test_names_that_differ_in_odd_characters_have_figures_of_their_own(tmp_path: Path) -> None:
    runs = [write_online(tmp_path / name, rounds=1) for name in ("a b", "a:b")]
    assert page(tmp_path / "r.html", *runs).count("Learning from fresh samples: a") == 4  # in the menu, too


def test_hostile_texts_are_text(tmp_path: Path) -> None:
    """In a prompt, a scorer's name and a folder's name."""
    run = write_online(tmp_path / "<b>run", texts=(HOSTILE, HOSTILE + "\0"), scorer="<i>&scorer", rounds=1)
    text = page(tmp_path / "r.html", run)
    assert "<script" not in text
    assert "<b>run" not in text
    assert "<i>" not in text
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;") in text
    assert "\0" not in text
    assert "&lt;i&gt;&amp;scorer" in drawn(run)["rounds"].wide


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    assert page(tmp_path / "one.html", run).replace("one-data", "two-data") == page(tmp_path / "two.html", run)
    for path in (tmp_path / "one-data").glob("*.csv"):
        assert path.read_bytes() == (tmp_path / "two-data" / path.name).read_bytes()


def test_thinning_keeps_training_lines_alone() -> None:
    """A round of one step: every other line begins a round, and none of those may take a step's place."""
    count, nan = 2000, math.nan
    loss = [nan if row % 2 == 0 else 0.7 for row in range(count)]
    columns = {"pairs_seen": list(range(count)), "loss": loss, "round": [0.0] * count}
    figure = curves.training({"run": columns})
    assert len(figure.data["loss"]) == 600
    assert not any(map(math.isnan, figure.data["loss"]))
    assert (figure.data["pairs_seen"][0], figure.data["pairs_seen"][-1]) == (1, 1999)
