from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from pydantic import BaseModel

from tastemaker.base.config import apply_overrides, read_yaml, validate, write_yaml
from tastemaker.base.errors import UserError
from tastemaker.rank.pairs import Pair
from tastemaker.train.config import Data
from tastemaker.train.order import Reading, places


class Holder(BaseModel):
    """A recipe as far as its data go."""

    data: Data


def pairs(count: int) -> list[Pair]:
    return [Pair(f"p{i}", "", "", f"w{i}", f"l{i}", 1.0, 0.5, 0.8, 0.2) for i in range(count)]


def reading(count: int, seed: int = 0, **data: object) -> Reading:
    return Reading([pairs(count)], Data.model_validate({"pairs": "r", "cache": "c", **data}), seed)


def names(read: Reading, batch_size: int = 2, accumulate: int = 2) -> list[tuple[str, int]]:
    micros = [
        micro
        for step in range(read.steps(batch_size * accumulate))
        for micro in read.micro_batches(step, batch_size, accumulate)
    ]
    return [(pair.pair_id, visit) for micro in micros for pair, visit in zip(micro.pairs, micro.visits, strict=True)]


def test_sorted_reads_as_ranked_and_begins_again_with_the_next_visit() -> None:
    assert names(reading(3, order="sorted", epochs=2)) == [(f"p{i}", visit) for visit in (0, 1) for i in range(3)]


def test_random_reads_every_pair_once_an_epoch_and_each_epoch_anew() -> None:
    read = names(reading(20, order="random", epochs=2))
    first, second = read[:20], read[20:]
    assert sorted(first) == sorted((f"p{i}", 0) for i in range(20))
    assert [name for name, _ in first] != [name for name, _ in second]
    assert {visit for _, visit in second} == {1}


def test_random_order_is_a_function_of_seed_epoch_and_pair_id() -> None:
    shuffled = pairs(20)
    random.Random(1).shuffle(shuffled)
    other = Reading([shuffled], Data(pairs="r", cache="c"), 0)
    assert names(other) == names(reading(20))
    assert names(reading(20, seed=1)) != names(reading(20))


@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 1), (3, 2), (4, 4), (100, 1)])
def test_batch_size_does_not_change_what_is_read(batch_size: int, accumulate: int) -> None:
    read = reading(7, epochs=3, max_pairs=17)
    assert names(read, batch_size, accumulate) == names(read)
    assert len(names(read)) == 17


def test_the_last_step_keeps_its_few_pairs() -> None:
    read = reading(7)
    assert read.steps(4) == 2
    assert [len(micro.pairs) for micro in read.micro_batches(1, 2, 2)] == [2, 1]


def test_max_pairs_beyond_the_end_reads_what_there_is() -> None:
    assert reading(7, max_pairs=100).total == 7


def several(weights: list[float], counts: list[int], seed: int = 0, **data: object) -> Reading:
    """Source s has the pairs s0, s1, …"""
    named = [[replace(pair, pair_id=f"{s}{pair.pair_id}") for pair in pairs(n)] for s, n in enumerate(counts)]
    folders = [{"pairs": f"r{s}", "weight": weight} for s, weight in enumerate(weights)]
    return Reading(named, Data.model_validate({"pairs": folders, "cache": "c", **data}), seed)


def test_two_sources_by_hand() -> None:
    """Weights 2 and 1: due at ¼, ¾, 1¼, 1¾ … and ½, 1½ …, so a b a a b a …; b begins again after its only pair."""
    read = names(several([2, 1], [4, 1], order="sorted", epochs=2))
    assert read == [
        ("0p0", 0), ("1p0", 1), ("0p1", 0), ("0p2", 0), ("1p0", 3),
        ("0p3", 0), ("0p0", 2), ("1p0", 5), ("0p1", 2), ("0p2", 2),
    ]  # fmt: skip


def test_equally_due_pairs_stand_in_the_order_of_the_sources() -> None:
    assert [name for name, _ in names(several([1, 1, 1], [2, 2, 2], order="sorted"))] == [
        f"{source}p{number}" for number in (0, 1) for source in (0, 1, 2)
    ]


WEIGHTS = [[1.0], [3, 1], [1, 3], [0.1, 0.2, 0.7], [1e-3, 1, 1, 1e3], [0.3] * 7]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_any_position_is_found_without_those_before_it(weights: list[float]) -> None:
    """Against reading from the start, by the definition alone: all pairs sorted by when they are due."""
    exact = [Fraction(weight) for weight in weights]
    due = sorted((Fraction(2 * k + 1, 2) / w, s, k) for s, w in enumerate(exact) for k in range(400))
    expected = [(s, k) for _, s, k in due[:400]]
    assert list(places(exact, 0, 400)) == expected
    assert [next(places(exact, position, position + 1)) for position in range(400)] == expected


@pytest.mark.parametrize("weights", WEIGHTS)
def test_shares_follow_the_weights_at_every_position(weights: list[float]) -> None:
    given = [0] * len(weights)
    for position, (source, _) in enumerate(places([Fraction(weight) for weight in weights], 0, 3000), 1):
        given[source] += 1
        for number, weight in zip(given, weights, strict=True):
            share = weight / sum(weights)
            assert abs(number - position * share) <= 0.5 + share * len(weights) / 2 + 1e-9


def test_a_far_position_costs_no_more_than_a_near_one() -> None:
    exact = [Fraction(3), Fraction(1)]
    assert [next(places(exact, 10**12 + place, 10**12 + place + 1))[0] for place in range(4)] == [0, 0, 1, 0]


def test_a_source_has_its_own_order_and_epochs() -> None:
    """Whatever stands beside it, a source is read as if it were alone."""
    alone = names(several([1], [5], epochs=3))
    beside = [name for name in names(several([1, 2], [5, 4], epochs=9)) if name[0].startswith("0")][:15]
    assert [name for name, _ in beside] == [name for name, _ in alone]
    assert [visit for _, visit in beside] == [2 * visit for _, visit in alone]


def test_a_pair_of_two_sources_is_never_visited_twice_alike() -> None:
    data = {"pairs": [{"pairs": "all"}, {"pairs": "best", "weight": 2}], "cache": "c", "epochs": 6}
    read = names(Reading([pairs(6), pairs(2)], Data.model_validate(data), 0))
    assert len(read) == len(set(read)) == 48


def test_an_epoch_is_as_long_as_all_sources() -> None:
    assert several([5, 1], [7, 3], epochs=2).total == 20
    assert several([5, 1], [7, 3], epochs=2, max_pairs=9).total == 9


@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 1), (3, 2), (100, 1)])
def test_batch_size_does_not_change_what_several_sources_give(batch_size: int, accumulate: int) -> None:
    read = several([0.7, 2.1], [7, 4], epochs=5)
    assert names(read, batch_size, accumulate) == names(read)


def test_one_source_in_a_list_is_one_source() -> None:
    read = several([4], [9], epochs=2)
    plain = Reading(read._sources, Data(pairs="r0", cache="c", epochs=2), 0)
    assert names(read) == names(plain)


def test_a_source_without_pairs_is_an_error() -> None:
    with pytest.raises(UserError, match=r"data\.pairs: r1: holds no pair"):
        several([1, 1], [3, 0])


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "data.pairs: names no folder; give one"),
        ([{"pairs": "a"}, {"pairs": "./a/"}], "data.pairs: ./a/ stands there twice; name it once"),
        ([{"pairs": "a", "weight": 0}], "data.pairs.0.weight: 0 should be greater than 0"),
        ([{"pairs": "a", "weight": -1.5}], "data.pairs.0.weight: -1.5 should be greater than 0"),
        (
            [{"pairs": "a"}, {"pairs": "b", "weight": float("inf")}],
            "data.pairs.1.weight: inf should be a finite number",
        ),
        ([{"pairs": "a"}, {"pairs": "b", "weihgt": 2}], "data.pairs.1.weihgt: unknown field, did you mean 'weight'?"),
        ([{"weight": 2}], "data.pairs.0.pairs: missing; give it a value"),
        (["a", "b"], "data.pairs.0: 'a' should be a section"),
        (3, "data.pairs: 3 should be a valid string"),
    ],
)
def test_wrong_sources(folders: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(Holder, {"data": {"pairs": folders, "cache": "c"}}, "x.yaml")
    assert str(caught.value).startswith(f"x.yaml: {message}")


def test_sources_are_written_and_read_alike(tmp_path: Path) -> None:
    tree = apply_overrides({"data": {"cache": "c"}}, ["--data.pairs", "[{pairs: a, weight: 3}, {pairs: b}]"])
    holder = validate(Holder, tree, "x.yaml")
    assert [(source.pairs, source.weight) for source in holder.data.sources] == [("a", 3), ("b", 1)]
    assert holder.data.folders == "a b"
    write_yaml(tmp_path / "x.yaml", holder)
    assert validate(Holder, read_yaml(tmp_path / "x.yaml"), "x.yaml") == holder
    assert [source.weight for source in Data(pairs="a", cache="c").sources] == [1]
