import pytest

from tastemaker.world.outcome import ALL, BASE, ONLINE, RANDOM, RANKED, verdict
from tastemaker.world.story import online, result_table

RATES = {RANKED: 0.8, ALL: 0.6, RANDOM: 0.55, ONLINE: 0.58}


def entry(scorer, model, mean):
    rate = RATES.get(model)
    names = ("win_rate", "mean_difference")
    values = (
        {name + end: rate + add for name in names for end, add in (("", 0), ("_low", -0.01), ("_high", 0.01))}
        if rate
        else None
    )
    return {"scorer": f"{scorer}@1", "model": model, "mean": mean, "against_base": values}


@pytest.fixture
def summary():
    utility = [entry("world-utility", model, 0.1 * i) for i, model in enumerate((BASE, RANKED, ALL, RANDOM), 4)]
    correct = [entry("world-correct", model, 0.1 * i) for i, model in enumerate((BASE, RANKED, ALL, RANDOM), 1)]
    return verdict({"prompts": 300, "results": utility + correct})


def test_every_figure_comes_from_its_own_model_and_scorer(summary):
    assert (summary["win_rate"], summary["win_rate_low"], summary["win_rate_high"]) == pytest.approx((0.8, 0.79, 0.81))
    assert summary["mean_difference_low"] == pytest.approx(0.79)
    before_after = [summary[f"{what}_{when}"] for what in ("utility", "correct") for when in ("before", "after")]
    assert before_after == pytest.approx([0.4, 0.5, 0.1, 0.2])
    assert {name: control["win_rate"] for name, control in summary["controls"].items()} == {ALL: 0.6, RANDOM: 0.55}
    assert summary["controls"][ALL]["utility_after"] == pytest.approx(0.6)
    assert summary["controls"][RANDOM]["correct_after"] == pytest.approx(0.4)
    assert summary["prompts"] == 300
    assert ONLINE not in summary


def test_the_model_without_pairs_has_its_own_row():
    utility = [entry("world-utility", model, 0.1 * i) for i, model in enumerate((BASE, RANKED, ALL, RANDOM, ONLINE), 4)]
    correct = [entry("world-correct", model, 0.1 * i) for i, model in enumerate((BASE, RANKED, ALL, RANDOM, ONLINE), 1)]
    found = verdict({"prompts": 300, "results": utility + correct})
    assert found[ONLINE]["win_rate"] == pytest.approx(0.58)
    assert "wins 58.0% (57.0% to 59.0%)" in online(found)
    rest = {"settings": {"seed": 3, "epsilon": 0.02}, "auroc_q": 0.87, "seconds": 141.0, "report": "x/report.html"}
    [row] = [line for line in result_table(found | rest).splitlines() if line.startswith("choices on fresh samples")]
    assert row.split()[-6:] == ["0.580", "(0.570", "to", "0.590)", "0.800", "50.0%"]


def test_the_table_on_the_terminal_says_the_same(summary):
    rest = {"settings": {"seed": 3, "epsilon": 0.02}, "auroc_q": 0.87, "seconds": 141.0, "report": "x/report.html"}
    lines = result_table(summary | rest).splitlines()
    assert lines[2].split() == ["(base)", "0.400", "10.0%"]
    assert lines[3].split()[-6:] == ["0.800", "(0.790", "to", "0.810)", "0.500", "20.0%"]
    assert lines[4].startswith("all pairs")
    assert "0.600 (0.590 to 0.610)" in lines[4]
    assert lines[-1] == "Report: x/report.html"
