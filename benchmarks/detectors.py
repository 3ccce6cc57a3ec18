"""How well each worth of a pair finds wrong labels in the small world, as the tables of docs/results/ranking.md.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/detectors.py out/detectors [--seeds 16]

The shipped comparisons have labels of which 34.6 % are wrong, and a side file says which; only here is it read. A seed
resamples the pairs (with replacement, keyed), draws the noise of the weaker scorers anew, and ranks. Intervals (95 %)
are the mean over the seeds ± t·s with s their standard deviation: what the bootstrap says of 2,956 pairs.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import stats

from tastemaker.base.draw import numbers
from tastemaker.data.importing import import_data
from tastemaker.data.store import read_columns
from tastemaker.evaluate.detection import auroc
from tastemaker.rank.calibrate import fit
from tastemaker.rank.choose import Cut
from tastemaker.rank.construct import Construct
from tastemaker.rank.detect import reliability
from tastemaker.rank.ensemble import Ensemble
from tastemaker.rank.judge import CONSTRUCTED, Judged, Scored
from tastemaker.rank.ranking import IF_THERE, NEEDED, Ranked, order
from tastemaker.rank.relabel import Relabel
from tastemaker.rank.settings import Ranking
from tastemaker.rank.worth import Worth
from tastemaker.score.runner import score
from tastemaker.score.scores import Scores, read_scores
from tastemaker.world.assets import COMPARISONS
from tastemaker.world.sample import PARQUET, TRUTH
from tastemaker.world.scorer import WorldScorer

STRENGTHS = (0.0, 2.0, 4.0, 8.0)
"""Noise added to the raw score, whose standard deviation is 7.3."""
PANEL = (2.0, 4.0, 8.0)
"""The scorers of the ensembles, with independent noise."""
RATES = (0.05, 0.1, 0.2)
Found = dict[tuple[str, ...], list[float]]
Truth = dict[str, float]


def prepare(out: Path) -> tuple[pa.Table, Scores, Truth]:
    """The comparisons without ties, the scores of the world's scorer, and the utility of every image."""
    import_data(str(COMPARISONS / PARQUET), out / "data")
    scorer = WorldScorer()
    score(out / "data", scorer)
    comparisons = read_columns(out / "data", NEEDED, IF_THERE)
    truth = pq.read_table(COMPARISONS / TRUTH)
    utility: Truth = {}
    for side in ("0", "1"):
        pairs = zip(truth[f"image_{side}"].to_pylist(), truth[f"utility_{side}"].to_pylist(), strict=True)
        utility.update(pairs)
    decided = comparisons.filter(pc.not_equal(comparisons["label"], "tie"))
    return decided.combine_chunks(), read_scores(out / "data", scorer.id), utility


def resampled(comparisons: pa.Table, seed: int) -> pa.Table:
    """As many pairs, drawn with replacement."""
    n = len(comparisons)
    rows = numbers("resample", seed).integers(0, n, n)
    ids = pa.array([f"{place:05d}" for place in range(n)])
    return comparisons.take(pa.array(rows)).set_column(comparisons.column_names.index("pair_id"), "pair_id", ids)


def weaker(scores: Scores, noise: float, seed: int) -> Scored:
    """The same scorer with keyed noise, and its own calibration."""
    drawn = numbers("weaker", str(noise), seed).standard_normal(len(scores)).astype(np.float32)
    raw = scores.raw + np.float32(noise) * drawn
    return Scored(
        Scores(f"noise {noise:g}", "standardise", scores.sha, scores.prompt_sha, raw), fit("standardise", raw)
    )


def right(judged: Judged, utility: Truth) -> np.ndarray:
    """bool [n]: the winner has the higher utility."""
    value = np.array([utility[sha] for sha in judged.coded.images.to_pylist()])
    return value[judged.image[0]] > value[judged.image[1]]


def nobody(*_: object) -> np.ndarray:
    raise AssertionError("no images here")


def ranked(comparisons: pa.Table, panel: list[Scored], how: Ranking) -> Ranked:
    return order(comparisons, panel, how, nobody)


def one_scorer(comparisons: pa.Table, scorer: Scored, utility: Truth, found: Found) -> None:
    """AUROC of each worth, calibration, the cut by expected rate, and what changed labels do."""
    name = scorer.scores.scorer
    whole = {by: ranked(comparisons, [scorer], Ranking(worth=Worth(by))) for by in ("quality", "margin")}
    whole["bradley-terry"] = fitted = ranked(comparisons, [scorer], Ranking(worth=Worth("bradley-terry")))
    good = right(fitted.judged, utility)
    for by, result in whole.items():
        found["auroc", name, by].append(auroc(good, result.weighed.worth))
        found["wrong in the best 30 %", name, by].append(float(1 - good[result.kept[: round(0.3 * len(good))]].mean()))
    assert fitted.model is not None
    assert fitted.weighed.right is not None
    found["flips", name].append(float(fitted.model.flips or 0))
    said = fitted.weighed.right
    found["ece", name].append(reliability(said, good).error)
    found["ece, second judgement", name].append(reliability(fitted.model.likely(said), good).error)
    cuts(comparisons, scorer, utility, found)
    changes(comparisons, scorer, utility, found)


def cuts(comparisons: pa.Table, scorer: Scored, utility: Truth, found: Found) -> None:
    """Expected against true rate of wrong labels."""
    name = scorer.scores.scorer
    for rate in RATES:
        try:
            result = ranked(comparisons, [scorer], Ranking(cut=Cut(max_wrong_rate=rate)))
        except ValueError:  # not even the first pair is sure enough
            found["kept", name, f"{rate:g}"].append(0.0)
            continue
        good = right(result.judged, utility)
        found["kept", name, f"{rate:g}"].append(len(result.kept) / len(good))
        found["true", name, f"{rate:g}"].append(float(1 - good[result.kept].mean()))


def changes(comparisons: pa.Table, scorer: Scored, utility: Truth, found: Found) -> None:
    """Share of right labels of what is kept whole, after relabelling, and of the pairs that were made."""
    name = scorer.scores.scorer
    tries = {
        "as labelled": Ranking(),
        **{f"{to}, m = {m:g}": Ranking(relabel=Relabel(to, m)) for to in ("swap", "tie") for m in (0.0, 0.1, 0.2)},
    }
    for what, how in tries.items():
        result = ranked(comparisons, [scorer], how)
        good = right(result.judged, utility)[result.kept]
        found["right", name, what].append(float(good.mean()))
        found["left", name, what].append(len(good) / len(comparisons))


def several(comparisons: pa.Table, panel: list[Scored], utility: Truth, found: Found) -> None:
    """AUROC of the ensembles over the same scorers, and of each alone."""
    tries = {
        "mean of ψ, Q": Ranking(ensemble=Ensemble("mean")),
        "mean of ψ, margin": Ranking(ensemble=Ensemble("mean"), worth=Worth("margin")),
        "least ψ, Q": Ranking(ensemble=Ensemble("min")),
        "least ψ, margin": Ranking(ensemble=Ensemble("min"), worth=Worth("margin")),
        "mean rank of Q": Ranking(ensemble=Ensemble("rank")),
        "mean rank of the margin": Ranking(ensemble=Ensemble("rank"), worth=Worth("margin")),
        "Pareto fronts of Q": Ranking(ensemble=Ensemble("pareto")),
        "Pareto fronts of the margin": Ranking(ensemble=Ensemble("pareto"), worth=Worth("margin")),
        "agreement": Ranking(worth=Worth("agreement")),
        "Bradley–Terry, fitted together": Ranking(worth=Worth("bradley-terry")),
    }
    results = {name: ranked(comparisons, panel, how) for name, how in tries.items()}
    for one in panel:
        results[f"{one.scores.scorer} alone, Q"] = ranked(comparisons, [one], Ranking())
        results[f"{one.scores.scorer} alone, margin"] = ranked(comparisons, [one], Ranking(worth=Worth("margin")))
    for name, result in results.items():
        good = right(result.judged, utility)
        found["ensemble", name].append(auroc(good, result.weighed.worth))
        found["ensemble 30 %", name].append(float(1 - good[result.kept[: round(0.3 * len(good))]].mean()))


def made(comparisons: pa.Table, scorer: Scored, utility: Truth, found: Found) -> None:
    """Pairs made of images of one prompt.

    A caption of the world has two images, which were compared; so nobody is said to have, and they are paired anew.
    """
    prompts = len(pc.unique(comparisons["prompt_sha"]))
    result = ranked(_unpaired(comparisons), [scorer], Ranking(construct=Construct(1)))
    new = result.judged.origin == CONSTRUCTED
    good = right(result.judged, utility)
    found["made", scorer.scores.scorer, "right"].append(float(good[new].mean()))
    found["made", scorer.scores.scorer, "share"].append(float(new.sum() / prompts))


def _unpaired(comparisons: pa.Table) -> pa.Table:
    """Each comparison (a, b) as two of the same prompt whose images were compared with themselves only."""
    parts = []
    for side, label in (("image_a", "a"), ("image_b", "b")):
        ids = pa.array([f"{one}-{label}" for one in comparisons["pair_id"].to_pylist()])
        part = comparisons.set_column(comparisons.column_names.index("pair_id"), "pair_id", ids)
        for other in ("image_a", "image_b"):
            part = part.set_column(part.column_names.index(other), other, comparisons[side])
        parts.append(part)
    return pa.concat_tables(parts)


def interval(values: list[float]) -> str:
    """Mean and half the width of 95 %; a bare mean where seeds are too few."""
    if len(values) < 2:
        return f"{np.mean(values):.3f}" if values else "–"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1)
    return f"{np.mean(values):.3f} ± {half:.3f}"


def rows(found: Found, kind: str, names: list[str], columns: list[str]) -> Iterator[str]:
    for name in names:
        yield f"| {name} | " + " | ".join(interval(found[kind, name, column]) for column in columns) + " |"


def table(found: Found) -> str:
    """The tables as Markdown."""
    scorers, worths = [f"noise {noise:g}" for noise in STRENGTHS], ["quality", "margin", "bradley-terry"]
    lines = ["| scorer | Q | margin | Bradley–Terry | Q − margin |", "| --- | --- | --- | --- | --- |"]
    for line, name in zip(rows(found, "auroc", scorers, worths), scorers, strict=True):
        both = zip(found["auroc", name, "quality"], found["auroc", name, "margin"], strict=True)
        lines.append(line + f" {interval([q - m for q, m in both])} |")
    lines += ["", "| scorer: wrong in the best 30 % | Q | margin | Bradley–Terry |", "| --- | --- | --- | --- |"]
    lines += rows(found, "wrong in the best 30 %", scorers, worths)
    lines += ["", "| three scorers | AUROC | wrong in the best 30 % |", "| --- | --- | --- |"]
    for kind, name in [key for key in found if key[0] == "ensemble"]:
        lines.append(f"| {name} | {interval(found[kind, name])} | {interval(found['ensemble 30 %', name])} |")
    lines += ["", "| scorer | flips ε | error of P(right) | error of P(label) |", "| --- | --- | --- | --- |"]
    kinds = ("flips", "ece", "ece, second judgement")
    lines += [f"| {name} | " + " | ".join(interval(found[kind, name]) for kind in kinds) + " |" for name in scorers]
    lines += ["", "| scorer | --max-wrong-rate | kept | true rate |", "| --- | --- | --- | --- |"]
    for name in scorers:
        for rate in (f"{rate:g}" for rate in RATES):
            kept, true = found["kept", name, rate], found["true", name, rate]
            lines.append(f"| {name} | {rate} | {interval(kept)} | {interval(true)}{_nothing(kept)} |")
    lines += ["", "| scorer | labels | right | left |", "| --- | --- | --- | --- |"]
    for kind, name, what in [key for key in found if key[0] == "right"]:
        lines.append(
            f"| {name} | {what} | {interval(found[kind, name, what])} | {interval(found['left', name, what])} |"
        )
    lines += ["", "| scorer | made pairs that are right | made, of the prompts |", "| --- | --- | --- |"]
    lines += rows(found, "made", scorers, ["right", "share"])
    return "\n".join(lines) + "\n"


def _nothing(kept: list[float]) -> str:
    empty = sum(share == 0 for share in kept)
    return f" (nothing kept in {empty} of {len(kept)})" if empty else ""


def main() -> None:
    """Measure and print."""
    seeds = int(sys.argv[sys.argv.index("--seeds") + 1]) if "--seeds" in sys.argv else 16
    comparisons, scores, utility = prepare(Path(sys.argv[1]))
    found: Found = defaultdict(list)
    for seed in range(seeds):
        drawn = resampled(comparisons, seed)
        for noise in STRENGTHS:
            one_scorer(drawn, weaker(scores, noise, seed), utility, found)
            made(drawn, weaker(scores, noise, seed), utility, found)
        several(drawn, [weaker(scores, noise, seed) for noise in PANEL], utility, found)
    text = table(found)
    (Path(sys.argv[1]) / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
