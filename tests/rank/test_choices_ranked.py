"""Every choice on disk: what stands in the files and the summary, and that the order of the rows never matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import rankdata

from support.datasets import RedScorer, png, sha, write_data
from tastemaker.base.errors import UserError
from tastemaker.cli.app import main
from tastemaker.data.comparison import Comparison
from tastemaker.rank.choose import Cut
from tastemaker.rank.construct import Construct
from tastemaker.rank.drop import Drop
from tastemaker.rank.ensemble import Ensemble
from tastemaker.rank.holdout import held_out
from tastemaker.rank.prompts import Spread
from tastemaker.rank.ranking import Ranking, rank, read_pairs, read_settings
from tastemaker.rank.relabel import Relabel
from tastemaker.rank.worth import Worth
from tastemaker.score.runner import score
from tastemaker.score.scores import read_scores

REDS = [(10 * i, 0) for i in range(1, 10)] + [(5 * i + 1, 90) for i in range(8)]
PROMPTS = ["cat", "Dog", "a red house"]


class GreenScorer(RedScorer):
    """Another opinion: red, less a third of green, plus noise that the image's colour fixes."""

    def score(self, prompts: Any, images: Any) -> np.ndarray:  # noqa: ARG002
        pixels = [image.getpixel((0, 0)) for image in images]
        return np.array([(r * 7 % 23) / 30 + r / 250 - g / 300 for r, g, _ in pixels], np.float32)


def comparisons(count: int = 60) -> list[Comparison]:
    """Pairs of different images; two of three labels go by red, and some are ties."""
    random = np.random.default_rng(4)
    rows = []
    for number in range(count):
        a, b = random.choice(len(REDS), 2, replace=False)
        label = "tie" if number % 11 == 0 else "a" if (REDS[a] > REDS[b]) == (number % 3 > 0) else "b"
        rows.append(Comparison(f"id{number:03d}", PROMPTS[number % 3], sha(*REDS[a]), sha(*REDS[b]), label))
    return rows


def make(folder: Path, rows: list[Comparison], shares: bool = True) -> Path:
    """A data folder whose shares follow from the pair's id, as far as people said who won."""
    write_data(folder, rows, [png(*red) for red in REDS])
    if shares:
        share = [_share(row) for row in rows]
        table = pq.read_table(folder / "comparisons.parquet")
        table = table.drop_columns([name for name in ("share",) if name in table.column_names])
        pq.write_table(table.append_column("share", pa.array(share, pa.float32())), folder / "comparisons.parquet")
    for scorer in (RedScorer(uses_prompt=False), GreenScorer(id="green@1", uses_prompt=False)):
        score(folder, scorer)
    return folder


def _share(row: Comparison) -> float | None:
    """For every second pair: the winner has 1, 0.8 or 0.6 of the preference."""
    if row.label == "tie" or int(row.pair_id[2:]) % 2:
        return None
    winner = (1.0, 0.8, 0.6)[int(row.pair_id[2:]) // 2 % 3]
    return winner if row.label == "a" else 1 - winner


BOTH = ("red", "green")
CHOICES: dict[str, tuple[tuple[str, ...], Ranking]] = {
    "margin": (("red",), Ranking(worth=Worth("margin"), cut=Cut(fraction=0.4))),
    "fitted": (("red",), Ranking(worth=Worth("bradley-terry"), cut=Cut(count=9))),
    "given": (("red",), Ranking(worth=Worth("bradley-terry", 0.2))),
    "both fitted": (BOTH, Ranking(worth=Worth("bradley-terry"), cut=Cut(max_wrong_rate=0.2))),
    "agreement": (BOTH, Ranking(worth=Worth("agreement"), cut=Cut(count=9))),
    "kto": (("red",), Ranking(worth=Worth("kto"))),
    "mean": (BOTH, Ranking(ensemble=Ensemble("mean", {"green": 2.0}))),
    "min": (BOTH, Ranking(ensemble=Ensemble("min"), worth=Worth("margin"))),
    "rank": (BOTH, Ranking(ensemble=Ensemble("rank"), cut=Cut(fraction=0.3))),
    "pareto": (BOTH, Ranking(ensemble=Ensemble("pareto"), cut=Cut(fraction=0.3))),
    "knee": (("red",), Ranking(cut=Cut(threshold="knee"))),
    "spread": (("red",), Ranking(spread=Spread(5, True), cut=Cut(count=9))),
    "drop": (("red",), Ranking(drop=Drop(holdout=held_out(["DOG"]), min_strength=0.6))),
    "swap": (BOTH, Ranking(relabel=Relabel("swap", 0.05), construct=Construct(3), worth=Worth("bradley-terry"))),
    "tie": (("red",), Ranking(relabel=Relabel("tie", 0.05), cut=Cut(order="random", seed=2))),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same judgements in two orders, images swapped in the second."""
    folder, rows = tmp_path_factory.mktemp("data"), comparisons()
    shuffled = [rows[i].swap() for i in np.random.default_rng(0).permutation(len(rows))]
    return make(folder / "one", rows), make(folder / "two", shuffled)


def without_times(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in ("seconds", "fingerprint")}


@pytest.mark.parametrize("name", CHOICES)
def test_rows_in_another_order_give_the_same_bytes(folders: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    summaries = [rank(data, CHOICES[name][0], tmp_path / data.name, CHOICES[name][1]) for data in folders]
    for file in ("pairs.parquet", "discarded.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert without_times(summaries[0]) == without_times(summaries[1])
    assert json.loads((tmp_path / "one" / "summary.json").read_text()) == summaries[0]
    kept, discarded = (pq.read_table(tmp_path / "one" / f"{file}.parquet") for file in ("pairs", "discarded"))
    assert len(kept) + len(discarded) == summaries[0]["pairs"]
    assert sum(summaries[0]["discarded"].values()) == len(discarded)


@pytest.fixture
def ranked(folders: tuple[Path, Path], tmp_path: Path) -> Callable[[str], tuple[dict[str, Any], pa.Table, pa.Table]]:
    def run(name: str) -> tuple[dict[str, Any], pa.Table, pa.Table]:
        scorers, how = CHOICES[name]
        summary = rank(folders[0], scorers, tmp_path / name, how)
        return summary, *(pq.read_table(tmp_path / name / f"{file}.parquet") for file in ("pairs", "discarded"))

    return run


def test_margin_orders_by_the_margin_and_says_so(ranked: Any, tmp_path: Path) -> None:
    summary, kept, discarded = ranked("margin")
    worth = kept["worth"].to_numpy()
    assert np.all(np.diff(worth) <= 0)
    assert worth == pytest.approx(kept["psi_winner"].to_numpy() - kept["psi_loser"].to_numpy(), abs=1e-6)
    cut = discarded.filter(pa.array(discarded["reason"].to_numpy(zero_copy_only=False) == "cut"))
    assert cut["worth"].to_numpy().max() <= worth.min() == pytest.approx(summary["worth_at_cut"])
    assert {pair.origin for pair in read_pairs(tmp_path / "margin")} == {"label"}
    assert read_settings(tmp_path / "margin")["worth"] == summary["worth"] == {"by": "margin", "temperature": None}


def test_probabilities_stand_in_the_rows_and_their_mean_in_the_summary(ranked: Any) -> None:
    summary, kept, _ = ranked("both fitted")
    right = kept["right"].to_numpy().astype(float)
    assert np.mean(1 - right) == pytest.approx(summary["expected_wrong_rate"]["kept"], abs=1e-6)
    assert summary["expected_disagreement"]["kept"] > summary["expected_wrong_rate"]["kept"]
    assert summary["expected_wrong_rate"]["kept"] <= 0.2 < summary["expected_wrong_rate"]["all"]
    assert len(summary["labels"]["temperature"]) == 2
    assert kept["worth"].to_pylist() == kept["right"].to_pylist()


def test_several_scorers_have_their_own_calibrations_and_counts(
    ranked: Any, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    summary, kept, _ = ranked("mean")
    assert read_settings(tmp_path / "mean")["scorer"] == summary["scorer"] == ["red@1", "green@1"]
    assert summary["weights"] == {"red@1": 1.0, "green@1": 2.0}
    assert set(summary["calibration"]) == set(summary["scores"]) == {"red@1", "green@1"}
    assert summary["scores"]["green@1"]["clipped"] > 0 == summary["scores"]["red@1"]["clipped"]
    assert kept["worth"].to_pylist() == kept["quality"].to_pylist()
    row = kept.to_pylist()[0]
    scores = [read_scores(folders[0], name)[row["winner"], row["prompt_sha"]] for name in BOTH]
    psi = [min(max(value, 0.0), 1.0) for value in scores]
    assert row["psi_winner"] == pytest.approx((psi[0] + 2 * psi[1]) / 3)


def everything(folder: Path) -> dict[str, dict[str, Any]]:
    """Pair id → row, of a ranking without a cut."""
    return {row["pair_id"]: row for row in pq.read_table(folder / "pairs.parquet").to_pylist()}


def test_mean_ranks_are_those_of_each_scorer_alone(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for name in BOTH:
        rank(folders[0], name, tmp_path / name)
    rank(folders[0], BOTH, tmp_path / "both", Ranking(ensemble=Ensemble("rank")))
    alone, both = [everything(tmp_path / name) for name in BOTH], everything(tmp_path / "both")
    places = [rankdata([one[pair]["quality"] for pair in both]) for one in alone]
    worth = (np.mean(places, axis=0) - 1) / (len(both) - 1)
    assert [row["worth"] for row in both.values()] == pytest.approx(worth.tolist(), abs=0.02)  # a place: float32


def test_the_cap_and_the_turns(ranked: Any) -> None:
    summary, kept, _ = ranked("spread")
    assert kept["prompt"].to_pylist()[:3] != kept["prompt"].to_pylist()[:1] * 3
    assert [sorted(kept["prompt"].to_pylist()[i : i + 3]) for i in (0, 3, 6)] == [sorted(PROMPTS)] * 3
    assert summary["discarded"]["cap"] > 0
    assert summary["prompts"]["kept"] == {"prompts": 3, "top_percent": 1 / 3, "effective": pytest.approx(3), "gini": 0}
    assert summary["prompts"]["all"]["prompts"] == 3


def test_held_out_and_weak_pairs(ranked: Any, tmp_path: Path) -> None:
    summary, kept, discarded = ranked("drop")
    reasons = dict(zip(discarded["pair_id"].to_pylist(), discarded["reason"].to_pylist(), strict=True))
    assert set(kept["prompt"].to_pylist()) == {"cat", "a red house"}
    held = [row.pair_id for row in comparisons() if row.prompt == "Dog" and row.label != "tie"]
    weak = [row.pair_id for row in comparisons() if (s := _share(row)) is not None and round(abs(2 * s - 1), 6) < 0.6]
    assert {reasons[pair] for pair in held if pair not in weak} == {"holdout"}
    assert {reasons[pair] for pair in weak} <= {"weak", "holdout"}
    assert summary["discarded"]["weak"] > 0
    assert set(np.round(kept["strength"].to_numpy(), 4)) == {1.0, np.float32(0.6)}
    assert read_settings(tmp_path / "drop")["drop"]["holdout"]["prompts"] == 1


def test_every_change_of_a_label_is_recorded(ranked: Any, tmp_path: Path) -> None:
    summary, kept, _ = ranked("swap")
    assert sum(summary["origins"]["all"].values()) == summary["pairs"] == 60 + summary["origins"]["all"]["constructed"]
    assert summary["origins"]["all"]["swapped"] > 0
    pairs = read_pairs(tmp_path / "swap")
    assert [pair.origin for pair in pairs] == kept["origin"].to_pylist()
    said = {row.pair_id: row.image_a if row.label == "a" else row.image_b for row in comparisons()}
    for pair in pairs:
        assert (pair.origin == "constructed") == (pair.pair_id not in said)
        assert pair.origin == "constructed" or (pair.winner == said[pair.pair_id]) == (pair.origin == "label")
    names, plain = ("labels", "share_loser_above_winner"), ranked("both fitted")[0]  # of what people said
    assert [summary[name] for name in names] == [plain[name] for name in names]
    facts, _, discarded = ranked("tie")
    assert facts["share_loser_above_winner"] == ranked("fitted")[0]["share_loser_above_winner"]
    tied = discarded.to_pylist()
    assert {row["reason"] for row in tied if row["origin"] == "tied"} == {"tie"}
    assert any(row["origin"] == "tied" and row["quality"] is None for row in tied)


def test_kto_keeps_clean_records_only(ranked: Any) -> None:
    summary, kept, _ = ranked("kto")
    assert summary["discarded"]["record"] == 60 - summary["kept"] - summary["discarded"]["tie"]
    assert summary["compared"]["most"] > 1
    won = {(row.prompt, image): set() for row in comparisons() for image in (row.image_a, row.image_b)}
    for row in comparisons():
        for image, side in ((row.image_a, "a"), (row.image_b, "b")):
            won[row.prompt, image].add("tie" if row.label == "tie" else row.label == side)
    for row in kept.to_pylist():
        assert (won[row["prompt"], row["winner"]], won[row["prompt"], row["loser"]]) == ({True}, {False})


def test_images_of_one_colour_are_all_alike(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pair with a winner"):
        rank(folders[0], "red", tmp_path / "out", Ranking(drop=Drop(near_duplicates=0)))


def test_the_knee_is_told(ranked: Any) -> None:
    summary, kept, _ = ranked("knee")
    assert summary["knee"]["kept"] == summary["kept"] == len(kept)
    assert summary["knee"]["worth"] == pytest.approx(summary["quality_at_cut"])


def test_a_share_makes_no_difference_to_what_is_not_asked(tmp_path: Path) -> None:
    """Data of an earlier version, without the column: strength 1."""
    data = make(tmp_path / "data", comparisons(), shares=False)
    rank(data, "red", tmp_path / "out")
    assert {pair.strength for pair in read_pairs(tmp_path / "out")} == {1.0}
    with pytest.raises(UserError, match="no pair"):
        rank(data, "red", tmp_path / "more", Ranking(drop=Drop(holdout=held_out(PROMPTS))))


def test_another_choice_wants_another_folder(folders: tuple[Path, Path], tmp_path: Path) -> None:
    done = rank(folders[0], "red", tmp_path / "out", Ranking(worth=Worth("margin")))
    assert rank(folders[0], "red@1", tmp_path / "out", Ranking(worth=Worth("margin"))) == done
    for other in (Ranking(), Ranking(worth=Worth("margin"), drop=Drop(min_strength=0.1))):
        with pytest.raises(UserError, match="other inputs or settings"):
            rank(folders[0], "red", tmp_path / "out", other)
    with pytest.raises(UserError, match="red@1: is given twice"):
        rank(folders[0], ["red", "red@1"], tmp_path / "more")


def test_on_the_command_line(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = tmp_path / "eval.txt"
    prompts.write_text("DOG\n")
    arguments = f"rank {folders[0]} --scorer red green --out {tmp_path / 'out'} --combine rank --weight red=3"
    assert main([*arguments.split(), "--holdout", str(prompts), "--relabel", "tie", "--count", "5"]) == 0
    assert "holdout" in capsys.readouterr().out
    settings = read_settings(tmp_path / "out")
    assert settings["weights"] == {"red@1": 3.0, "green@1": 1.0}
    assert settings["ensemble"] == {"combine": "rank", "weights": {"red": 3.0}}
    again = f"rank {folders[0]} --scorer red --out {tmp_path / 'new'} --by kto --holdout {folders[0]} --count 1"
    assert main(again.split()) == 2
    assert "only 0 can be ranked" in capsys.readouterr().err
    assert main(["rank", str(folders[0]), "--out", str(tmp_path / "new"), "--scorer"]) == 2
    assert "--scorer: name at least one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--weight", "red"], "--weight red: say a scorer and a number, such as hpsv2=2"),
        (["--weight", "blue=2"], "--weight blue: is not one of the scorers red@1"),
        (["--by", "agreement"], "are of several scorers; name more after --scorer"),
        (["--by", "goodness"], "see tastemaker rank --help"),
        (["--holdout", "nowhere.txt"], "nowhere.txt: no such file; give a file of prompts"),
        (["--max-wrong-rate", "0.001", "--temperature", "1"], "--max-wrong-rate 0.001: none keeps it"),
        (["--relabel-margin", "0.1"], "give --relabel swap or tie with it"),
    ],
)
def test_mistakes(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(["rank", str(folders[0]), "--scorer", "red", "--out", str(tmp_path / "new"), *more]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new" / "pairs.parquet").exists()
