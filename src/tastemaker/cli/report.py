"""`tastemaker report`."""

from __future__ import annotations

from pathlib import Path


def run(
    *,
    out: Path,
    ranked: Path | None = None,
    eval: Path | None = None,
    images: tuple[Path, ...] = (),
    runs: tuple[Path, ...] = (),
    data: Path | None = None,
    title: str = "What the model learned to like",
    lead: str = "",
) -> None:
    """Put the whole story into one HTML file that opens offline, with the figures' numbers beside it.

    Each input adds its sections; give what there is.

    Args:
        out: The HTML file to write.
        ranked: Output of `tastemaker rank`: agreement of scorer and labels, quality and cut, prompts.
        eval: Output of `tastemaker evaluate`: win rates with intervals.
        images: Outputs of `tastemaker generate`, in the order given to evaluate: before and after.
        runs: Outputs of `tastemaker train` or `d3po`: training curves and recipes.
        data: Output of `tastemaker import` that the ranking speaks of: shows the best and worst pairs and, if several
            scorers have finished, whether they agree.
        title: Heading of the page.
        lead: What stands under the heading; a summary of the inputs if not given.
    """
    from tastemaker.base import summary
    from tastemaker.report.reporting import report

    done = report(out, ranked=ranked, eval=eval, images=images, runs=runs, data=data, title=title, lead=lead)
    summary.show(done)
