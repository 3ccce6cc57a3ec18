"""CPU seconds and memory of ranking a million pairs: 58 k prompts, 1.1 M images, every image of one prompt.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/rank_million.py [--more]

The columns are made up in memory, so reading and writing Parquet is left out. Rows are in no order, which is the worst
case for the look-up. `--more` times the choices that cost something, too: an ensemble of three, its Pareto fronts, the
fit of Bradley and Terry, relabelling and construction.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from tastemaker.rank.calibrate import Standardise
from tastemaker.rank.choose import Cut, best_first
from tastemaker.rank.codes import RawScores, code
from tastemaker.rank.construct import Construct
from tastemaker.rank.ensemble import Ensemble
from tastemaker.rank.judge import Scored, judge
from tastemaker.rank.ranking import Ranked, order
from tastemaker.rank.relabel import Relabel
from tastemaker.rank.settings import Ranking
from tastemaker.rank.weigh import weigh
from tastemaker.rank.worth import Worth
from tastemaker.score.scores import Scores

PAIRS, PROMPTS, IMAGES = 1_000_000, 58_000, 1_100_000


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print the processor's seconds."""
    started = time.process_time()
    yield
    print(f"{what:<34}{time.process_time() - started:7.2f} s   peak {peak():6.0f} MB")


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def shas(count: int, random: np.random.Generator) -> pa.Array:
    """Distinct texts of 64 hex digits, sorted."""
    digits = np.frombuffer(random.bytes(32 * count).hex().encode(), "S64")
    offsets = pa.py_buffer(np.arange(0, 64 * count + 1, 64, dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), count, [None, offsets, pa.py_buffer(np.sort(digits))])


def comparisons(random: np.random.Generator) -> tuple[pa.Table, pa.Array, pa.Array]:
    """The columns of comparisons.parquet; and the images with their prompts, sorted by image."""
    images, prompts = shas(IMAGES, random), shas(PROMPTS, random)
    prompt_of = random.integers(0, PROMPTS, IMAGES)
    by_prompt = np.argsort(prompt_of, kind="stable")
    first = random.permutation(IMAGES - 1)[:PAIRS]  # two neighbours in the order of the prompts
    a, b, p = by_prompt[first], by_prompt[first + 1], prompt_of[by_prompt[first]]
    table = {
        "pair_id": shas(PAIRS, random),
        "prompt": prompts.take(pa.array(p)),
        "prompt_sha": prompts.take(pa.array(p)),
        "image_a": images.take(pa.array(a)),
        "image_b": images.take(pa.array(b)),
        "label": pa.array(np.array(["a", "b", "tie"])).take(pa.array(random.choice(3, PAIRS, p=[0.45, 0.45, 0.1]))),
    }
    return pa.table(table), images, prompts.take(pa.array(prompt_of))


def scored(name: str, images: pa.Array, prompts: pa.Array, raw: np.ndarray) -> Scored:
    return Scored(Scores(name, "standardise", images, prompts, raw), Standardise(float(raw.mean()), float(raw.std())))


def nobody(*_: object) -> np.ndarray:
    raise AssertionError("no images here")


def plain(table: pa.Table, panel: list[Scored]) -> None:
    """The whole ranking by Q, then each part of it."""
    with timed("all, best 30 %"):
        order(table, panel, Ranking(cut=Cut(fraction=0.3)), nobody)
    with timed("  number images and prompts"):
        coded = code(table, panel[0].images)
    with timed("  look up 2 M scores"):
        found = RawScores(panel[0].scores, panel[0].images, coded)
        for image in (coded.image_a, coded.image_b):
            found.find(image, coded.prompt)
    with timed("  orient, with both of these"):
        judged = judge(table, panel)
    with timed("  ψ → Q"):
        weighed = weigh(judged, [1.0], Ranking())
    with timed("  order"):
        best_first(np.nan_to_num(weighed.worth), judged.pair_id)


def main() -> None:
    """Make up the data and measure."""
    random = np.random.default_rng(0)
    with timed("the columns"):
        table, images, prompts = comparisons(random)
        panel = [scored("one", images, prompts, random.standard_normal(IMAGES, np.float32))]
    plain(table, panel)
    if "--more" not in sys.argv:
        return
    for name in ("two", "three"):  # agrees with the first by 0.7
        raw = (0.7 * panel[0].scores.raw + 0.71 * random.standard_normal(IMAGES, np.float32)).astype(np.float32)
        panel.append(scored(name, images, prompts, raw))
    cut = Cut(fraction=0.3)
    tries: dict[str, Callable[[], Ranked]] = {
        "three scorers, mean": lambda: order(table, panel, Ranking(cut=cut), nobody),
        "two scorers, Pareto": lambda: order(table, panel[:2], Ranking(cut=cut, ensemble=Ensemble("pareto")), nobody),
        "three scorers, Pareto": lambda: order(table, panel, Ranking(cut=cut, ensemble=Ensemble("pareto")), nobody),
        "Bradley-Terry, temperature given": lambda: order(
            table, panel[:1], Ranking(cut=cut, worth=Worth("bradley-terry", 1.0)), nobody
        ),
        "relabel": lambda: order(table, panel[:1], Ranking(cut=cut, relabel=Relabel("swap", 0.2)), nobody),
        "construct 2": lambda: order(table, panel[:1], Ranking(cut=cut, construct=Construct(2)), nobody),
    }
    for name, run in tries.items():
        with timed(name):
            run()


if __name__ == "__main__":
    main()
