from __future__ import annotations

import random

import pytest

from tastemaker.rank.pairs import Pair
from tastemaker.train.config import Data
from tastemaker.train.order import Reading


def pairs(count: int) -> list[Pair]:
    return [Pair(f"p{i}", "", "", f"w{i}", f"l{i}", 1.0, 0.5, 0.8, 0.2) for i in range(count)]


def reading(count: int, seed: int = 0, **data: object) -> Reading:
    return Reading(pairs(count), Data.model_validate({"pairs": "r", "cache": "c", **data}), seed)


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
    other = Reading(shuffled, Data(pairs="r", cache="c"), 0)
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
