"""Labels changed and pairs made: by hand, limits, what stands in the rows."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.base.errors import UserError
from tastemaker.rank.calibrate import Identity
from tastemaker.rank.construct import Construct, construct
from tastemaker.rank.ensemble import blend
from tastemaker.rank.judge import ORIGINS, Judged, Scored, judge
from tastemaker.rank.relabel import Relabel, relabel
from tastemaker.score.scores import Scores


def scored(values: dict[tuple[str, str], float]) -> Scored:
    """Scores by (image, prompt)."""
    rows = sorted(values.items())
    images, prompts = (pa.array([key[side] for key, _ in rows]) for side in (0, 1))
    return Scored(Scores("s@1", "identity", images, prompts, np.array([v for _, v in rows], np.float32)), Identity())


def judged(rows: list[tuple[str, str, str, str]], *panel: Scored) -> Judged:
    """Rows are (prompt, image_a, image_b, label)."""
    prompt, a, b, label = zip(*rows, strict=True)
    ids = [f"{number}" for number in range(len(rows))]
    columns = {"pair_id": ids, "prompt": prompt, "prompt_sha": prompt, "image_a": a, "image_b": b, "label": label}
    return judge(pa.table(columns), panel)


def names(one: Judged) -> list[tuple[str | None, ...]]:
    sides = [one.coded.images.take(pa.array(codes)).to_pylist() for codes in one.image]
    return [(*pair, ORIGINS[origin]) for *pair, origin in zip(*sides, one.origin, strict=True)]


ONE = scored({("w", "p"): 0.75, ("m", "p"): 0.5, ("l", "p"): 0.25})
OTHER = scored({("w", "p"): 0.5, ("m", "p"): 0.75, ("l", "p"): 0.25})
ROWS = [("p", "w", "l", "a"), ("p", "w", "l", "b"), ("p", "l", "m", "a"), ("p", "m", "w", "a"), ("p", "w", "l", "tie")]


def test_swapped_by_hand() -> None:
    """ψ_l − ψ_w is −0.5, 0.5, 0.25, 0.25 under the first; at a margin of 0.25 only the second is clear."""
    found = relabel(judged(ROWS, ONE), Relabel("swap", 0.25))
    assert names(found)[:4] == [
        ("w", "l", "label"), ("w", "l", "swapped"), ("l", "m", "label"), ("m", "w", "label"),
    ]  # fmt: skip
    assert found.psi[0, :, 1].tolist() == [0.75, 0.25]
    assert found.raw[0, :, 1].tolist() == [0.75, 0.25]
    assert found.tie.tolist() == [False, False, False, False, True]
    assert [row[2] for row in names(relabel(judged(ROWS, ONE), Relabel("swap", 0.2)))][2:] == [
        "swapped", "swapped", "label",
    ]  # fmt: skip


def test_all_scorers_must_contradict() -> None:
    """Under the second w lies below m, so m beating w is no contradiction to all."""
    found = names(relabel(judged(ROWS, ONE, OTHER), Relabel("swap")))
    assert [origin for *_, origin in found] == ["label", "swapped", "swapped", "label", "label"]


def test_made_a_tie() -> None:
    found = relabel(judged(ROWS, ONE), Relabel("tie", 0.25))
    assert found.tie.tolist() == [False, True, False, False, True]
    assert found.strength.tolist() == [1, 0, 1, 1, 0]
    assert names(found)[1] == ("l", "w", "tied")


def test_nothing_is_said_without_scores() -> None:
    some = scored({("w", "p"): 0.75})
    assert (relabel(judged(ROWS, some), Relabel("swap")).origin == 0).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"to": "drop"}, "--relabel drop: say swap or tie"),
        ({"to": "swap", "margin": -0.1}, "--relabel-margin -0.1"),
        ({"margin": 0.1}, "give --relabel swap or tie with it"),
    ],
)
def test_refused(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Relabel(**wrong)


FIVE = scored({(name, "p"): value for name, value in zip("abcde", (0.1, 0.3, 0.5, 0.75, 1.0), strict=True)})
mean = partial(blend, weights=[1.0])


def made(one: Judged, how: Construct, scorer: Scored = FIVE) -> list[tuple[str | None, ...]]:
    return names(construct(one, how, [scorer], mean))[len(one) :]


def test_the_best_against_the_worst_that_were_not_compared() -> None:
    """e over a was compared; then e over b (0.7), d over a (0.65), e over c (0.5)."""
    one = judged([("p", "e", "a", "b"), ("p", "b", "c", "tie"), ("p", "d", "c", "a")], FIVE)
    assert made(one, Construct(3)) == [("e", "b", "constructed"), ("d", "a", "constructed"), ("e", "c", "constructed")]
    assert [pair[:2] for pair in made(one, Construct(9, 0.6))] == [("e", "b"), ("d", "a")]
    assert [pair[:2] for pair in made(one, Construct(9, 0.5))] == [("e", "b"), ("d", "a")]  # above it, not at it


def test_all_pairs_by_falling_difference_against_a_search() -> None:
    random = np.random.default_rng(0)
    images = [f"i{number}" for number in range(12)]
    psi = dict(zip(images, random.permutation(12) / 16, strict=True))
    rows = [("p", *pair, "a") for pair in random.permutation(list(combinations(images, 2)))[:20].tolist()]
    compared = {frozenset(row[1:3]) for row in rows}
    seen = sorted({image for row in rows for image in row[1:3]})
    left = [pair for pair in combinations(seen, 2) if frozenset(pair) not in compared]
    scorer = scored({(name, "p"): value for name, value in psi.items()})
    found = [pair[:2] for pair in made(judged(rows, scorer), Construct(99, 0.1), scorer)]
    gaps = [psi[winner] - psi[loser] for winner, loser in found]
    assert gaps == sorted(gaps, reverse=True)
    assert {frozenset(pair) for pair in found} == {frozenset(p) for p in left if abs(psi[p[0]] - psi[p[1]]) > 0.1}
    assert len(set(map(frozenset, found))) == len(found)


def test_only_images_of_the_same_prompt_with_a_score() -> None:
    scorer = scored({("a", "p"): 0.0, ("b", "p"): 0.5, ("c", "q"): 1.0, ("d", "q"): 0.0})
    one = judged([("p", "a", "b", "a"), ("q", "c", "d", "a"), ("p", "a", "x", "a")], scorer)
    assert made(one, Construct(5), scorer) == []


def test_what_a_made_pair_is() -> None:
    one = judged([("p", "e", "a", "b"), ("p", "b", "c", "tie")], FIVE)
    found = construct(one, Construct(1), [FIVE], mean)
    assert found.raw[0, :, 2] == pytest.approx([1.0, 0.3])
    assert (found.strength[2], found.tie[2], found.prompt[2]) == (1.0, False, one.prompt[0])
    again = construct(judged([("p", "c", "b", "tie"), ("p", "a", "e", "a")], FIVE), Construct(1), [FIVE], mean)
    assert found.pair_id[2].as_py() == again.pair_id[2].as_py()
    assert len(found.pair_id[2].as_py()) == 32


def test_construction_refused() -> None:
    with pytest.raises(UserError, match="--construct -1"):
        Construct(-1)
    with pytest.raises(UserError, match=r"--construct-margin 1\.0"):
        Construct(1, 1.0)
