"""How the pairs of a ranking spread over the prompts: does the top collapse onto few?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tastemaker.rank.prompts import distribution
from tastemaker.report.drawing import ACCENT, MUTED, POINTS, SECOND, figure
from tastemaker.report.page import Figure
from tastemaker.report.plots import Kind

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Canvas


def prompts(every: np.ndarray, kept: np.ndarray, name: str = "prompts", of: Kind = "pairs") -> Figure:
    """Concentration curves (Lorenz's, from the top) of all rows and of the kept ones over the P prompts of all.

    ``every`` and ``kept`` hold a prompt's number, 0 … P − 1, for each row. A curve says which share of the rows the
    prompts with most of them have; each curve has its own order of the prompts.
    """
    import numpy as np

    total = int(every.max()) + 1
    curves = {"kept": concentration(kept, total), "all": concentration(every, total)}
    at = np.unique(np.linspace(0, total, POINTS).round().astype(int))
    share = at / total

    def draw(canvas: Canvas, _: bool) -> None:
        axes = canvas.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="every prompt alike")
        axes.plot(share, curves["all"][at], color=SECOND, label=f"all {of}")
        axes.plot(share, curves["kept"][at], color=ACCENT, label=f"kept {of}")
        axes.set(title="Do few prompts have it all?", xlim=(0, 1), ylim=(0, 1.03))
        axes.set(xlabel="prompts, those with most first", ylabel=f"share of the {of}")
        for axis in axes.xaxis, axes.yaxis:
            axis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.legend(loc="lower right")

    used = int(np.count_nonzero(np.bincount(kept)))
    various = [f"{distribution(prompt)['effective']:,.1f}" for prompt in (kept, every)]
    most = [f"{np.bincount(prompt).max():,}" for prompt in (kept, every)]
    caption = (
        f"The {len(kept):,} kept {of} are of {used:,} of {total:,} prompts. The tenth of the prompts with most of them "
        f"has {_tenth(curves['kept']):.1%} of the kept ones, and {_tenth(curves['all']):.1%} of all. The kept ones are "
        f"as various as {various[0]} evenly used prompts (all: {various[1]}), at most {most[0]} of one prompt (all: "
        f"{most[1]})."
    )
    data = {"rank": at.tolist(), "share": share.tolist()}
    data |= {name: curve[at].tolist() for name, curve in curves.items()}
    return figure(name, draw, (2.9, 2.9), alt=f"Two concentration curves. {caption}", caption=caption, data=data)


def concentration(prompt: np.ndarray, total: int) -> np.ndarray:
    """float64 [P + 1]: the share of the rows that the 0, 1, … P prompts with most of them have."""
    import numpy as np

    counts = np.sort(np.bincount(prompt, minlength=total))[::-1]
    shares: np.ndarray = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    return shares


def _tenth(curve: np.ndarray) -> float:
    prompts = len(curve) - 1
    return float(curve[max(1, round(prompts / 10))])
