"""How the demo is told: the report's own section about wrong labels, and the table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.world.outcome import ALL, BASE, ONLINE, RANDOM, RANKED

if TYPE_CHECKING:
    from tastemaker.report.page import Section

CALLED = {
    RANKED: "best pairs by Q",
    ALL: "all pairs",
    RANDOM: "random pairs, as many",
    ONLINE: "choices on fresh samples",
}
TITLE = "Teaching a small world what people like"


def tell(out: Path, facts: Mapping[str, Any], found: Mapping[str, Any], models: Sequence[str]) -> str:
    """Write ``out/report.html`` about ``models`` and return its path; ``found`` is `outcome.detection`."""
    from tastemaker.report.reporting import report

    page = out / "report.html"
    report(
        page,
        ranked=out / "ranked" / RANKED,
        eval=out / "evaluation",
        images=[out / "images" / name for name in (BASE, *models)],
        runs=[out / "runs" / name for name in models],
        data=out / "data",
        title=TITLE,
        lead=lead(facts, found),
        extra=[wrong_labels(found)],
    )
    return str(page)


def lead(facts: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What was done and what came out, in three sentences."""
    return (
        f"{len(found['right']):,} pairs of images drawn by a small text-to-image model were judged by a simulated "
        f"person, who was wrong in {found['wrong_all']:.0%} of them. A scorer that never saw these judgements ranked "
        "the pairs; the model was trained on the best of them by Diffusion-DPO, and as controls on all pairs and on a "
        "random subset. "
        f"Of {facts['prompts']} held-out captions, drawn from the same noise, {facts['correct_before']:.1%} were right "
        f"before and {facts['correct_after']:.1%} after; the aligned model wins {facts['win_rate']:.1%} "
        f"({facts['win_rate_low']:.1%} to {facts['win_rate_high']:.1%}) of the comparisons with its base."
        f"{online(facts)}"
    )


def online(facts: Mapping[str, Any]) -> str:
    """A sentence on the model without pairs, if there is one."""
    if ONLINE not in facts:
        return ""
    found = facts[ONLINE]
    return (
        " Another model had no pairs: a simulated person chose among images that it had just drawn, for a few rounds "
        f"of D3PO, which are a beginning; it wins {found['win_rate']:.1%} ({found['win_rate_low']:.1%} to "
        f"{found['win_rate_high']:.1%})."
    )


def wrong_labels(found: Mapping[str, Any]) -> Section:
    """How well Q finds the labels that are wrong, which only the demo can know."""
    from tastemaker.report.page import Section, Text
    from tastemaker.report.plots import roc

    said = (
        f"In the small world it is known which judgements are wrong: {found['wrong_all']:.1%} of all, "
        f"{found['wrong_kept']:.1%} of the pairs kept by Q. Neither scoring nor ranking nor training has seen this. "
        f"As a detector of right labels Q reaches an AUROC of {found['auroc_q']:.3f}, the plain margin ψ_w − ψ_l "
        f"{found['auroc_margin']:.3f}."
    )
    curve = roc(found["right"], found["quality"], finds="Q as a detector of right labels", name="wrong-labels")
    return Section("Wrong labels", (Text((said,)), curve))


def result_table(summary: Mapping[str, Any]) -> str:
    """The result on one screen."""
    rows = [("trained on", "win rate against base (95 %)", "utility", "correct")]
    rows.append(("(base)", "", f"{summary['utility_before']:.3f}", f"{summary['correct_before']:.1%}"))
    told = {RANKED: summary, **summary["controls"]} | ({ONLINE: summary[ONLINE]} if ONLINE in summary else {})
    rows += [_row(CALLED[name], entry) for name, entry in told.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    settings = summary["settings"]
    notes = (
        f"{summary['prompts']} held-out captions, same noise for every model, seed {settings['seed']}; "
        f"differences of utility up to {settings['epsilon']:g} are ties and count ½.\n"
        f"Q as a detector of right labels: AUROC {summary['auroc_q']:.3f}. It took {summary['seconds']:.0f} seconds."
    )
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", notes, f"Report: {summary['report']}"])


def _row(name: str, entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    rate = f"{entry['win_rate']:.3f} ({entry['win_rate_low']:.3f} to {entry['win_rate_high']:.3f})"
    return name, rate, f"{entry['utility_after']:.3f}", f"{entry['correct_after']:.1%}"
