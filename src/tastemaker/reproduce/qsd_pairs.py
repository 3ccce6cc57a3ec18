"""DPO-QSD's figures 1 (difference of scores, Q in order) and 6/7 (worst and best pairs by Q)."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import write_text
from tastemaker.evaluate.winrate import Interval, bootstrap_means, percentile_interval
from tastemaker.report import ranking
from tastemaker.report.page import Figure, Gallery, Picture
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.output import picture, save
from tastemaker.reproduce.results import Results
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage
from tastemaker.reproduce.tables import rows_of
from tastemaker.reproduce.typeset import tidy

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

Tell = Callable[[Path, Path, Path], list[str]]
"""From a RANKED folder and its DATA to lines of the page; files are called as the third path, and some more."""
END = 0.1
"""Share of the pairs at each end of the order of Q whose fall is compared with that between them."""
RESAMPLES = 2000
"""Of the prompts."""


@dataclass(frozen=True)
class OfPairs:
    """What a ranked set of the best ``pairs`` has to say, without any training (`exhibit.Exhibit`)."""

    key: str
    paper: Paper
    title: str
    pairs: Pairs
    tell: Tell

    @property
    def arms(self) -> Sequence[Arm]:
        """None: it is of the data."""
        return ()

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The ranked set: the best pairs are the same for every seed."""
        return (shop.pairs(self.pairs, seed) for seed in seeds)

    def write(self, results: Results, folder: Path) -> str:
        """Heading and what ``tell`` says."""
        stage = results.shop.pairs(self.pairs, 0)
        if not stage.done:
            return ""
        told = self.tell(stage.out.parent, results.shop.out / "data", folder / self.key)
        return "\n".join([f"### {self.title}", "", *told, ""])


def exhibits(pairs: Pairs) -> list[OfPairs]:
    """Figure 1 and figures 6/7 of a set of the best pairs."""
    return [
        OfPairs("quality", "qsd", "QSD, figure 1: difference of scores, and quality in order", pairs, quality),
        OfPairs("pairs", "qsd", "QSD, figures 6/7: best and worst pairs", pairs, ends),
    ]


def quality(ranked: Path, data: Path, stem: Path) -> list[str]:
    """Both parts of figure 1 as `report.ranking` draws them, and whether what the paper says of them is so here.

    Each is an SVG file with its numbers as CSV beside it.
    """
    figures = [part for part in ranking.section(ranked, None).parts if isinstance(part, Figure)]
    lines: list[str] = []
    for figure in figures[:2]:  # the third, of the prompts, is none of the paper's
        name = f"{stem.name}-{figure.name}"
        rows = (dict(zip(figure.data, values, strict=True)) for values in zip(*figure.data.values(), strict=True))
        write_text(stem.with_name(f"{name}.csv"), tidy(tuple(figure.data), list(rows)))
        lines.append(picture(figure, stem.parent, stem.name))
    prompts, difference = raw_differences(ranked, data, ranking.scorers(ranked)[0])
    return [*lines, normal(prompts, difference), "", steep(ranking.read(ranked).quality)]


def ends(ranked: Path, data: Path, stem: Path) -> list[str]:
    """The best and the worst pairs by Q, chosen as in `report.ranking`: images, captions, Q, ψ and raw scores."""
    lines: list[str] = []
    galleries = [part for part in ranking.section(ranked, data).parts if isinstance(part, Gallery) and part.strips]
    for gallery in galleries:
        name = f"{stem.name}-{gallery.title.split()[0].lower()}.png"
        _sheet(gallery, stem.with_name(name))
        lines += [f"**{gallery.title}.** {gallery.caption}", "", f"![{gallery.title}]({name})", ""]
        lines += [*rows_of(_rows(gallery)), ""]
    return lines


def raw_differences(ranked: Path, data: Path, scorer: str) -> tuple[list[str], Floats]:
    """Of all pairs that have a quality the prompt's hash, and the raw score of the winner minus the loser's [n]."""
    import numpy as np
    import pyarrow as pa

    from tastemaker.evaluate.journal import read_table
    from tastemaker.score.scores import read_scores

    names = ["winner", "loser", "prompt_sha", "quality"]
    rows = pa.concat_tables([read_table(ranked / f"{name}.parquet", names) for name in ("pairs", "discarded")])
    rows = rows.filter(rows["quality"].is_valid()).combine_chunks()
    winner, loser, prompt = (rows[name].combine_chunks() for name in names[:3])
    scores = read_scores(data, scorer)
    return prompt.to_pylist(), np.asarray(scores.find(winner, prompt) - scores.find(loser, prompt), np.float64)


def over_prompts(prompts: Sequence[str], values: Floats) -> Interval:
    """Mean of ``values`` [n] with its 95 % percentile interval over prompts drawn again with all their pairs.

    Pairs of one prompt share images, so they are not independent: Σ of a draw's values / Σ of its pairs.
    """
    import numpy as np

    from tastemaker.study.resample import by_cluster

    sums = by_cluster(prompts, np.stack([values, np.ones_like(values)], 1))
    drawn = bootstrap_means(sums, RESAMPLES)
    return percentile_interval(float(values.mean()), drawn[:, 0] / drawn[:, 1])


def normal(prompts: Sequence[str], difference: Floats) -> str:
    """Mean, deviation and shape of raw differences beside the paper's "about normal around 0"; no test of it."""
    from scipy import stats

    mean, deviation = over_prompts(prompts, difference), float(difference.std(ddof=1))
    skew, tails = float(stats.skew(difference)), float(stats.kurtosis(difference))
    return (
        "The paper: the difference of scores, winner − loser, is about normal around 0. Here, before calibration, "
        f"{len(difference):,} pairs of {len(set(prompts)):,} prompts have mean {mean.value:+.4g} ({mean.low:+.4g} to "
        f"{mean.high:+.4g}: 95 % of drawing the prompts again), deviation {deviation:.4g}, so the mean lies "
        f"{mean.value / deviation:+.2f} deviations from 0; skewness {skew:+.2f} and excess kurtosis {tails:+.2f} (0 "
        "and 0 where normal)."
    )


def steep(quality: Floats) -> str:
    """By how much Q falls in the first tenth of its order, in the middle (a tenth of it) and in the last tenth."""
    import numpy as np

    q = np.sort(np.asarray(quality, np.float64))[::-1]
    top, low = (float(np.quantile(q, share)) for share in (1 - END, END))
    first, last, between = float(q[0]) - top, low - float(q[-1]), (top - low) * END / (1 - 2 * END)
    here = "so it is here" if min(first, last) > between else "it is not so here"
    return (
        f"The paper: Q falls steeply, gently, and steeply at the end; {here}: by {first:.3f} over the first tenth of "
        f"the pairs, {between:.3f} a tenth in the middle and {last:.3f} over the last."
    )


def _rows(gallery: Gallery) -> list[list[str]]:
    head = ["caption", "Q", "winner", "loser"]
    rows = ([_plain(strip.prompt), strip.note, *map(_under, strip.pictures)] for strip in gallery.strips)
    return [head, *rows]


def _plain(text: str) -> str:
    """``text`` of strangers as a cell of Markdown: on one line, without bars and markup."""
    return " ".join(re.sub(r"([\\|<>\[\]`*_])", r"\\\1", text).split())


def _under(picture: Picture) -> str:
    return ", ".join(picture.lines)


def _sheet(gallery: Gallery, path: Path) -> None:
    from tastemaker.evaluate.contact_sheet import comparison_sheet

    rows = [(f"{strip.note}: {strip.prompt}", [_image(one) for one in strip.pictures]) for strip in gallery.strips]
    save(comparison_sheet([one.label for one in gallery.strips[0].pictures], rows), path)


def _image(picture: Picture) -> Image:
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2])))
