"""D3PO's rates at the paper's scale: unsafe images as a classifier sees them; hands and preference are for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import read_json, sha256_text, write_json
from tastemaker.evaluate.winrate import wilson
from tastemaker.reproduce import d3po_runs, published
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.d3po_rates import HEAD, TITLE, Rate, corrected, printed, row
from tastemaker.reproduce.exhibit import Paper
from tastemaker.reproduce.output import finite
from tastemaker.reproduce.results import Results, crossed, p_value, reading, share
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Needed, Stage
from tastemaker.reproduce.tables import rows_of

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LOOK_SECONDS, CHUNK = 10.0, 64
"""Of a folder, for the list of costs; images that the classifier sees at once."""


@dataclass(frozen=True)
class Asked:
    """Of the images of ``tasks``, and of the base (`exhibit.Exhibit`)."""

    tasks: tuple[str, ...]
    key: str = "rates"
    paper: Paper = "d3po"
    title: str = TITLE
    arms: tuple[Arm, ...] = ()

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The base and every task; with a classifier of unsafe images what it says of them."""
        yield from d3po_runs.scored_all(shop, self.tasks, seeds)
        if not shop.profile.safety:
            return
        yield from (flagged(shop, d3po_runs.base(shop, name)) for name in self.tasks)
        for seed in seeds:
            yield from (flagged(shop, d3po_runs.scored(shop, name, seed)) for name in self.tasks)

    def write(self, results: Results, folder: Path) -> str:
        """The paper's figures with what is needed for ours, the share of unsafe images, and `rates.json`."""
        shop = results.shop
        found = corrected([rate for name in self.tasks if (rate := unsafe(shop, name))])
        if found:
            rates = [finite(asdict(one)) for one in found]
            write_json(folder / f"{self.key}.json", {"title": self.title, "rates": rates})
        said = [f"- {one.label}: {_way(one)}" for one in found]
        needed = [] if shop.profile.safety else [SAFETY_NEEDED, ""]
        lines = [*rows_of([HEAD, *_printed(), *map(_own, found)]), "", _people(shop, self.tasks), "", *needed]
        return "\n".join([f"### {self.title}", "", *lines, *([NOTE, "", *said, ""] if found else [])])


SAFETY_NEEDED = (
    "Unsafe images are not counted: give --safety SPEC, a classifier and its unsafe classes as `tastemaker evaluate` "
    "takes them."
)
NOTE = (
    "Unsafe is what the classifier of --safety says, and no task here teaches safety, as the paper's did by people: "
    "the rows tell what each reward did to it. Intervals: before, Wilson's over prompts; after, over seeds and "
    "prompts; they are not corrected, what is said below is, for all rows (Holm)."
)


def flagged(shop: Shop, drawn: Stage) -> Stage:
    """Which images of the held-out prompts that ``drawn`` leaves are unsafe, 1 or 0 each."""
    spec, place = shop.profile.safety, drawn.out.parent
    out = place / f"unsafe-{sha256_text(spec)[:8]}.json"

    def look() -> None:
        from tastemaker.evaluate import images as generated
        from tastemaker.evaluate.safety import build_safety

        safety, flags = build_safety(spec), []
        for _, pictures in generated.batches(place / "images", 0, CHUNK):
            flags += safety.unsafe_images(safety.classifier.logits(pictures)).astype(int).tolist()
        write_json(out, {"safety": safety.identity(), "unsafe": flags})

    name = f"{drawn.name.removeprefix('score ')} {out.stem}"
    return Stage(name, "look for unsafe images", out, look, LOOK_SECONDS, (drawn,), (Needed("safety", spec),))


def unsafe(shop: Shop, task: str) -> Rate | None:
    """The share of unsafe images before and after ``task``, p not yet corrected; None where nothing has run."""
    import numpy as np

    if not shop.profile.safety:
        return None
    base = flagged(shop, d3po_runs.base(shop, task))
    stages = [flagged(shop, d3po_runs.scored(shop, task, seed)) for seed in d3po_runs.seeds_of(shop, task)]
    after = np.array([_flags(stage) for stage in stages if stage.done], np.float64)
    if not base.done or not len(after):
        return None
    before = np.array(_flags(base), np.float64)
    d, start = after - before, wilson(float(before.mean()), len(before))
    label = f"unsafe images, taught {task}"
    return Rate(label, len(after), start, share(after), crossed(d), p_value(d), published.D3PO_UNSAFE)


def _flags(stage: Stage) -> list[int]:
    found: list[int] = read_json(stage.out)["unsafe"]
    return found


def _own(rate: Rate) -> list[str]:
    """Without the paper's figure, which is of a model that people taught."""
    return [*row(rate)[:-1], ""]


def _way(rate: Rate) -> str:
    """Whether there are more or fewer unsafe images than the base has."""
    said = reading(rate.change, rate.seeds, rate.p)
    ways = {"holds": "more than before", "does not hold: the other way round": "fewer than before"}
    return ways.get(said, said)


def _printed() -> list[list[str]]:
    rows = {
        "distorted hands (people)": printed(*published.D3PO_HANDS),
        "unsafe images (people)": printed(*published.D3PO_UNSAFE),
        "preferred to the base (people)": f"{100 * published.D3PO_PREFERENCE:.1f} %",
    }
    return [[label, "–", "", "", "", figure] for label, figure in rows.items()]


def _people(shop: Shop, tasks: Sequence[str]) -> str:
    """How people are asked about one task's images: the last one's, which in the paper's order is what looks good."""
    task = tasks[-1]
    seeds = d3po_runs.seeds_of(shop, task)
    places = d3po_runs.base(shop, task).out.parent, d3po_runs.place(shop, task, seeds[0] if seeds else 0)
    base, here = (f"OUT/{place.relative_to(shop.out).as_posix()}/images" for place in places)
    return (
        f"Hands and preference need people: `tastemaker study create --out STUDY --images base={base} d3po={here}` "
        "asks which of two they prefer, with `--kind flag --flags hands unsafe` what is wrong with an image."
    )
