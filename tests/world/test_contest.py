"""The contest of methods: its statistics by hand, its entrants, and a small one from end to end."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tastemaker.base.errors import UserError
from tastemaker.evaluate.winrate import Interval
from tastemaker.method.method import Method
from tastemaker.world import contest, verdicts
from tastemaker.world.captions import Split
from tastemaker.world.contest import BASE, Size
from tastemaker.world.entrants import BY_NAME, ENTRANTS, FASTER, RATE


def test_crossed_by_hand() -> None:
    """Seeds' means 2 and 3 (variance ½), prompts' means 1.5 and 3.5 (variance 2): √(½/2 + 2/2) t₁ = 1.118 · 12.706."""
    found = verdicts.crossed([[1.0, 3.0], [2.0, 4.0]])
    assert found.value == 2.5
    assert found.high - found.value == pytest.approx(math.sqrt(1.25) * 12.7062047)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_crossed_holds_the_variance_of_seeds_and_of_prompts() -> None:
    """With no difference between prompts the interval is Student's over seeds; one seed says nothing."""
    means = np.array([0.1, 0.2, 0.4, 0.1, 0.2])
    found = verdicts.crossed(np.repeat(means[:, None], 300, axis=1))
    assert found.high - found.value == pytest.approx(2.7764451 * means.std(ddof=1) / math.sqrt(5))
    assert verdicts.crossed([[0.1, 0.2]]) == Interval(pytest.approx(0.15), -math.inf, math.inf)  # type: ignore[arg-type]


def test_crossed_covers_the_truth_as_often_as_it_says() -> None:
    """Random effects of seeds and prompts and a residual around 0: about 95 % of the intervals hold 0."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        d = generator.normal(0, 0.02, (5, 1)) + generator.normal(0, 0.2, (1, 60)) + generator.normal(0, 0.2, (5, 60))
        found = verdicts.crossed(d)
        held += found.low <= 0 <= found.high
    assert held / 400 >= 0.94


def test_readings() -> None:
    assert verdicts.reading(Interval(0.2, 0.1, 0.3)) == "holds"
    assert verdicts.reading(Interval(0.1, -0.1, 0.3)) == "not distinguishable"
    assert verdicts.reading(Interval(-0.2, -0.3, -0.1)) == "does not hold: the other way round"


def test_claims_speak_of_entrants() -> None:
    names = {BASE, *BY_NAME}
    assert all({claim.better, claim.worse} <= names for claim in verdicts.CLAIMS)


@pytest.mark.parametrize("entrant", ENTRANTS, ids=lambda entrant: entrant.name)
def test_an_entrant_is_a_method_whose_settings_reach_its_link(entrant) -> None:
    source = BY_NAME[entrant.tuned_as] if entrant.tuned_as else entrant
    tried = source.first_settings()
    assert len(tried) + bool(source.strengths) == 4, "every method has the same budget"
    for settings in tried:
        method = Method.model_validate(entrant.with_settings(settings))
        if source.strengths:
            assert getattr(method.link, source.knob) == settings[source.knob]


def test_every_entrant_that_borrows_settings_has_the_same_link() -> None:
    for entrant in ENTRANTS:
        if entrant.tuned_as:
            source = BY_NAME[entrant.tuned_as]
            assert source.tuned_as is None
            assert entrant.method["link"] == source.method["link"]


def write_run(place: Path, utility: list[float]) -> None:
    place.mkdir(parents=True)
    (place / "utility.json").write_text(json.dumps({"utility": utility, "correct": [value > 0.5 for value in utility]}))


def test_tuning_takes_the_best_strength_and_tries_it_faster(monkeypatch, tmp_path: Path) -> None:
    def run(place: Path, out: Path, entrant, settings, seed: int, size: Size, split: Split) -> None:
        assert split == "tune"
        strength = settings["beta"]
        write_run(place, [1.0 if strength == 300 else 0.5, 0.1 if settings["lr"] == FASTER else 0.2])

    monkeypatch.setattr(contest, "run", run)
    assert contest.tune(tmp_path, BY_NAME["uniform"], Size()) == {"beta": 300, "lr": RATE}
    assert len(list((tmp_path / "tune" / "uniform").iterdir())) == 4
    assert contest.tune(tmp_path / "other", BY_NAME["range-200-700"], Size()) == {"beta": 300, "lr": RATE}


def test_tables_and_picture_of_what_has_run(tmp_path: Path) -> None:
    """Two seeds of two entrants; the third has not run, and nothing is said of it."""
    generator = np.random.default_rng(0)
    base = generator.random(50) / 2
    write_run(tmp_path / BASE, base.tolist())
    for seed in (0, 1):
        write_run(tmp_path / f"seed-{seed}" / "qsd", (base + 0.3 + 0.01 * seed).tolist())
        write_run(tmp_path / f"seed-{seed}" / "uniform", (base + 0.1).tolist())
    (tmp_path / "tuned.json").write_text(
        json.dumps({"qsd": {"beta": 100, "lr": 1e-3}, "uniform": {"beta": 100, "lr": 1e-3}})
    )
    verdicts.tell(tmp_path)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| `qsd` | Diffusion-DPO on the best 30 % by Q | beta 100, lr 0.001 | 2 | +0.305 (" in text
    assert "(`qsd` > `uniform`) | 2 | +0.205 (+0.141 to +0.269) | holds |" in text
    assert "`dde`" not in text
    assert (tmp_path / "contest.png").stat().st_size > 5000
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "utilities.parquet")
    assert rows.num_rows == 5 * 50
    assert set(rows["entrant"].to_pylist()) == {BASE, "qsd", "uniform"}


def test_wrong_names_and_empty_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dpoo: no such entrant; there are sft, uniform"):
        contest.contest(tmp_path, entrants=["dpoo"])
    with pytest.raises(UserError, match="no finished run of the contest"):
        verdicts.Results(tmp_path)


@pytest.mark.slow
def test_a_small_contest_runs_and_goes_on(tmp_path: Path) -> None:
    size = Size(prompts=4, tune_prompts=2, pairs_seen=32, sampling_steps=2)
    done = contest.contest(tmp_path, [0], ["dde", "random-30"], size)
    assert done["entrants"] == 2
    assert {place.name for place in (tmp_path / "seed-0").iterdir()} == {"dde", "random-30"}
    first = (tmp_path / "table.md").read_bytes()
    drawn = (tmp_path / "seed-0" / "dde" / "images" / "images.parquet").stat().st_mtime_ns
    contest.contest(tmp_path, [0], ["dde", "random-30"], size)
    assert (tmp_path / "table.md").read_bytes() == first
    assert (tmp_path / "seed-0" / "dde" / "images" / "images.parquet").stat().st_mtime_ns == drawn
