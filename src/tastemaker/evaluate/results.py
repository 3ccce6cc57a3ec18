"""Scores of several models on the same prompts → the entries ``results`` of ``metrics.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tastemaker.evaluate import winrate
from tastemaker.evaluate.holm import holm
from tastemaker.evaluate.samples import MODES

if TYPE_CHECKING:
    import numpy as np

    from tastemaker.evaluate.options import Options

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

Scores = Mapping[tuple[str, str], "Floats"]
"""(scorer, model) → scores [n, k]."""
Groups = Mapping[str, Sequence[str]]
"""Field → value of each prompt, "" where unknown."""


def results(
    scores: Scores, options: Options, groups: Groups, taught: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """One entry for each scorer and model; ``taught`` are the scorers that took part in training a model.

    The median and the best of several samples, and every group, are compared with the base's like the mean.
    """
    entries = [
        {
            "scorer": scorer,
            "model": model,
            "in_training": scorer in options.trained_with or scorer in taught.get(model, ()),
            **({"in_choosing": scorer == options.choose} if options.choose else {}),
            **summarise(scores[scorer, model]),
            **_versus(scores[scorer, options.base], scores[scorer, model], scorer, model, options),
            "by_group": dict(
                _by_group(scores[scorer, options.base], scores[scorer, model], scorer, model, options, groups)
            ),
        }
        for scorer in options.scorers
        for model in options.models
    ]
    for model in options.models:
        _correct([entry for entry in entries if entry["model"] == model])
    return entries


def summarise(score_nk: Floats) -> dict[str, Any]:
    """Mean, median and standard deviation (n − 1) over the scored images, and the standard error of the mean.

    Images of one prompt are not independent, so the error is that of the prompts' means: s / √prompts. None where
    there are too few.
    """
    import numpy as np

    scored = score_nk[np.isfinite(score_nk)]
    means = [row[np.isfinite(row)].mean() for row in score_nk if np.isfinite(row).any()]
    return {
        "mean": _finite(scored.mean()) if scored.size else None,
        "median": _finite(np.median(scored)) if scored.size else None,
        "std": _finite(scored.std(ddof=1)) if scored.size > 1 else None,
        "sem": _finite(np.std(means, ddof=1) / math.sqrt(len(means))) if len(means) > 1 else None,
        "images": int(scored.size),
        "unscored": int(score_nk.size - scored.size),
    }


def against_base(
    base_nk: Floats, tuned_nk: Floats, *, epsilon: float, resamples: int, confidence: float, seed: int
) -> dict[str, Any] | None:
    """`winrate.compare` as plain numbers; prompts with an unscored image are left out, None when none remains."""
    import numpy as np

    difference = winrate.paired_differences(base_nk, tuned_nk)
    known = difference[np.isfinite(difference)]
    if not known.size:
        return None
    result = winrate.compare(known, epsilon=epsilon, resamples=resamples, confidence=confidence, seed=seed)
    return {
        "prompts": result.prompts,
        "epsilon": result.epsilon,
        "wins": result.wins,
        "ties": result.ties,
        "losses": result.losses,
        **interval("win_rate", result.win_rate),
        "wilson_low": result.wilson.low,
        "wilson_high": result.wilson.high,
        **interval("mean_difference", result.mean_difference),
        "median_difference": result.median_difference,
        "p_wilcoxon": result.p_wilcoxon,
        "p_holm": None,
    }


def interval(name: str, found: winrate.Interval) -> dict[str, float]:
    """Three keys: ``name``, ``name_low`` and ``name_high``."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _versus(base_nk: Floats, tuned_nk: Floats, scorer: str, model: str, options: Options) -> dict[str, Any]:
    """``against_base`` by the mean of the samples and, where there are several, by the other modes."""
    several = tuned_nk.shape[1] > 1
    if model == options.base:
        return {"against_base": None} | ({"by_mode": None} if several else {})
    settings = options.statistics | {"epsilon": options.epsilon[scorer]}
    found = {"against_base": against_base(base_nk, tuned_nk, **settings)}
    modes = {name: against_base(of(base_nk), of(tuned_nk), **settings) for name, of in MODES.items()} if several else {}
    return found | ({"by_mode": modes} if several else {})


def _by_group(
    base_nk: Floats, tuned_nk: Floats, scorer: str, model: str, options: Options, groups: Groups
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Field → value → figures of the prompts that have it."""
    import numpy as np

    settings = options.statistics | {"epsilon": options.epsilon[scorer]}
    for field, of_prompt in groups.items():
        found = {}
        for value in values(of_prompt):
            rows = np.array(of_prompt) == value
            versus = None if model == options.base else against_base(base_nk[rows], tuned_nk[rows], **settings)
            mean = summarise(tuned_nk[rows])["mean"]
            found[value] = {"prompts": int(rows.sum()), "mean": mean, "against_base": versus}
        yield field, found


def values(of_prompt: Sequence[str]) -> list[str]:
    """The known values of a group field, in the order in which they come."""
    return [value for value in dict.fromkeys(of_prompt) if value]


def _correct(entries: Sequence[dict[str, Any]]) -> None:
    """Put `holm` over the scorers of one model that took no part in its training, once for each mode."""
    judges = [entry for entry in entries if not entry["in_training"]]
    families = [[entry["against_base"] for entry in judges]]
    families += [[(entry.get("by_mode") or {}).get(mode) for entry in judges] for mode in MODES]
    for family in families:
        known = [versus for versus in family if versus]
        for versus, p in zip(known, holm([versus["p_wilcoxon"] for versus in known]), strict=True):
            versus["p_holm"] = p


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
