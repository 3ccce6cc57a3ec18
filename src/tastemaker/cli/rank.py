"""`tastemaker rank`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tastemaker.rank.drop import Drop


def run(
    data: Path,
    /,
    *,
    scorer: tuple[str, ...],
    out: Path,
    fraction: float | None = None,
    count: int | None = None,
    min_quality: float | None = None,
    threshold: Literal["knee"] | None = None,
    max_wrong_rate: float | None = None,
    order: Literal["quality", "random"] = "quality",
    seed: int = 0,
    by: Literal["quality", "margin", "bradley-terry", "agreement", "kto"] = "quality",
    temperature: float | None = None,
    combine: Literal["mean", "min", "rank", "pareto"] | None = None,
    weight: tuple[str, ...] = (),
    per_prompt: int | None = None,
    diverse: bool = False,
    drop_near_duplicates: int | None = None,
    holdout: tuple[Path, ...] = (),
    min_strength: float = 0.0,
    relabel: Literal["swap", "tie"] | None = None,
    relabel_margin: float = 0.0,
    construct: int = 0,
    construct_margin: float = 0.1,
    calibration: str | None = None,
    only: Literal["pairs", "singles", "liked"] | None = None,
) -> None:
    """Order the pairs by the quality Q = ψ(winner) · (1 − ψ(loser)), best first, and cut.

    Of an image that was judged alone Q is ψ if it is liked, else 1 − ψ.

    Writes OUT/pairs.parquet, in the order in which training reads it, and OUT/discarded.parquet. Give one of
    --fraction, --count, --min-quality, --threshold and --max-wrong-rate, or none for all pairs. With --order random the
    pairs stand in a drawn order and Q is only written down: all pairs, or with --count a random subset to compare with.

    Args:
        data: Data folder with scores, as made by tastemaker score.
        scorer: Whose scores: names, or ids such as jpeg-size@q95 where several share a name.
        out: Folder to write to.
        fraction: Keep this share of the pairs that can be ranked: 0.3 keeps 30 %.
        count: Keep so many pairs.
        min_quality: Keep the pairs with at least this Q.
        threshold: Keep up to the knee of the sorted worth.
        max_wrong_rate: Keep as many as have at most this expected share of wrong labels.
        order: Best pairs first, or a drawn order.
        seed: Draws the random order.
        by: What a pair is worth: Q, ψ(winner) − ψ(loser), the probability that its label is right, the share of several
            scorers that agree with it, or (kto) whether the winner won and the loser lost all of its comparisons.
        temperature: Of bradley-terry, in units of the raw score; fitted to the labels if not given.
        combine: How several scorers become one: mean or least ψ, mean rank, or Pareto fronts of the worth.
        weight: Of one of several scorers, such as hpsv2=2; others have 1.
        per_prompt: Keep at most so many pairs of a prompt, the best.
        diverse: Order the prompts' pairs in turn: every prompt's best, then every prompt's second, and so on.
        drop_near_duplicates: Drop pairs whose images differ in at most so many of 64 bits, or repeat a better pair.
        holdout: Prompts for evaluation, a file or a data folder: pairs of these prompts are dropped.
        min_strength: Drop pairs on which people agreed less: |2·share − 1|.
        relabel: Swap winner and loser where all scorers clearly contradict the label, or make it a tie.
        relabel_margin: How clearly: by more than this difference of ψ.
        construct: Add at most so many pairs a prompt, of images that were not compared: best against worst.
        construct_margin: Their least difference of ψ.
        calibration: How scores become ψ in [0, 1], if not as the scorer says: identity, range:LOW,HIGH, standardise.
        only: What to take of data that hold pairs and single images, or the liked ones alone, as SFT needs them.
    """
    from tastemaker.base.summary import show
    from tastemaker.rank.construct import Construct
    from tastemaker.rank.ensemble import Ensemble
    from tastemaker.rank.prompts import Spread
    from tastemaker.rank.ranking import Cut, Ranking, rank
    from tastemaker.rank.relabel import Relabel
    from tastemaker.rank.worth import Worth

    how = Ranking(
        cut=Cut(
            fraction=fraction,
            count=count,
            min_quality=min_quality,
            order=order,
            seed=seed,
            threshold=threshold,
            max_wrong_rate=max_wrong_rate,
        ),
        worth=Worth(by, temperature),
        ensemble=Ensemble(combine, _weights(weight)),
        spread=Spread(per_prompt, diverse),
        drop=_drop(drop_near_duplicates, holdout, min_strength),
        relabel=Relabel(relabel, relabel_margin),
        construct=Construct(construct, construct_margin),
    )
    show(rank(data, [_found(data, spec) for spec in scorer], out, how, calibration=calibration, only=only))


def _found(data: Path, spec: str) -> str:
    """The id of a scorer that has scored ``data``, however it was named."""
    from tastemaker.cli.scorers import scorer_id
    from tastemaker.score.scores import find_scorer

    return find_scorer(data, scorer_id(spec), spec=spec if ":" in spec else None)


def _weights(given: tuple[str, ...]) -> dict[str, float]:
    """Name or id → weight of texts such as ``hpsv2=2``."""
    from tastemaker.base.errors import UserError

    weights = {}
    for text in given:
        name, _, number = text.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise UserError(f"--weight {text}: say a scorer and a number, such as hpsv2=2")
    return weights


def _drop(near_duplicates: int | None, holdout: tuple[Path, ...], min_strength: float) -> Drop:
    """What to leave out; of a data folder the prompts of its comparisons are held out."""
    from tastemaker.data.store import COMPARISONS
    from tastemaker.evaluate.prompts import read_prompts
    from tastemaker.rank.drop import Drop
    from tastemaker.rank.holdout import held_out

    files = [path / COMPARISONS if path.is_dir() else path for path in holdout]
    prompts = [prompt for file in files for prompt in read_prompts(file)]
    return Drop(near_duplicates, held_out(prompts) if files else None, min_strength)
