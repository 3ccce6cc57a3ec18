"""Who gets what, in which order of images; never more raters an item than asked for."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from study.studies import BIN, design, item, joined, opened, postgresql
from tastemaker.study.assign import Given, next_task, shown
from tastemaker.study.db import Store, assignment, set_state
from tastemaker.study.votes import Late, every, skip, status, take, undo


def test_each_image_stands_in_each_position_equally_often_but_for_one() -> None:
    """⌊n/K⌋ or ⌈n/K⌉ times after n raters, of any n; and the first order is not the same for all items."""
    for kind, images in [("pair", 2), ("best", 3), ("rank", 5)]:
        study = design([item(n, kind, images) for n in range(20)])
        orders = [[shown(study, n, slot) for slot in range(12)] for n in range(20)]
        for row, raters in itertools.product(orders, range(1, 13)):
            for position in range(images):
                stood = Counter(order[position] for order in row[:raters])
                assert all(stood[place] in (raters // images, -(-raters // images)) for place in range(images))
        assert len({row[0] for row in orders}) == (2 if images == 2 else len({row[0] for row in orders}))
        assert len({row[0] for row in orders}) > 1
        assert all(sorted(order) == [*range(images)] for row in orders for order in row)


def answer_all(store: Store, rater: str, answer: object = 0, now: float = 0.0) -> list[Given]:
    """Do every task the rater is given, in order."""
    found: list[Given] = []
    while isinstance(given := next_task(store, rater, now), Given):
        assert take(store, rater, given.token, dict.fromkeys(store.design.asked, answer), 1.0, given.token, now) == ()
        found.append(given)
    return found


def test_fewest_raters_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    """Three raters with a quota of 2 over 6 items: each item once; three more fill the second places, and no more."""
    store = opened(tmp_path, design([item(n) for n in range(6)], raters_per_item=2, quota=2))
    raters = joined(store, 7)
    first = [given.item.id for rater in raters[:3] for given in answer_all(store, rater)]
    assert sorted(first) == [*range(6)]
    rest = [given.item.id for rater in raters[3:6] for given in answer_all(store, rater)]
    assert sorted(rest) == [*range(6)]
    assert next_task(store, raters[6], 0.0) == "done"
    assert status(store).complete == 6


def test_a_reload_gives_the_same_task(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(n) for n in range(3)]))
    (rater,) = joined(store, 1)
    assert next_task(store, rater, 0.0) == next_task(store, rater, 1e9)


CHECKED = [*(item(n) for n in range(8)), item(8, gold=0), *(item(9 + n, repeats=n) for n in range(3))]


def test_a_rater_does_all_with_every_repetition_after_and_apart_from_its_original(tmp_path: Path) -> None:
    store = opened(tmp_path, design(CHECKED, raters_per_item=4))
    for rater in joined(store, 4):
        order = [given.item.id for given in answer_all(store, rater)]
        assert len(set(order)) == len(order)
        assert set(range(9)) <= set(order)
        for place, one in enumerate(order):
            original = CHECKED[one].repeats
            assert original is None or order.index(original) < place - 1


def test_no_repetition_is_left_over_because_its_original_came_last(tmp_path: Path) -> None:
    """Of two tasks that are left the repeated one comes first; else every fourth rater would end one task early."""
    items = [*(item(n) for n in range(6)), item(6, repeats=0), item(7, repeats=3)]
    for seed in range(12):
        store = opened(tmp_path / str(seed), design(items, raters_per_item=5, seed=seed))
        assert [len(answer_all(store, rater)) for rater in joined(store, 2)] == [8, 8]
        store.close()


def test_a_quota_holds_its_share_of_checks(tmp_path: Path) -> None:
    """Of 12 items 4 are checks: of a quota of 6, round(6 · 4/12) = 2, in the middle too and not for ever at the end."""
    golds = [*(item(n) for n in range(8)), *(item(n, gold=0) for n in range(8, 12))]
    store = opened(tmp_path, design(golds, raters_per_item=20, quota=6))
    places = Counter[int]()
    for rater in joined(store, 12):
        order = [given.item.id for given in answer_all(store, rater)]
        checks = [place for place, one in enumerate(order) if one >= 8]
        assert (len(order), len(checks)) == (6, 2)
        places.update(checks)
    assert len(places) >= 4


def test_what_is_abandoned_goes_to_others_with_its_place(tmp_path: Path) -> None:
    """One place: after 30 minutes the second rater gets the task in the same order, and the first comes too late."""
    store = opened(tmp_path, design([item(0)], raters_per_item=1, questions=("preference", "appeal")))
    slow, quick = joined(store, 2)
    begun = next_task(store, slow, 0.0)
    assert isinstance(begun, Given)
    take(store, slow, begun.token, {"preference": 0}, 1.0, "a", 0.0)
    assert next_task(store, quick, 29 * 60.0) == "wait"
    again = next_task(store, quick, 30 * 60.0 + 1)
    assert isinstance(again, Given)
    assert (again.shown, again.token == begun.token) == (begun.shown, False)
    with pytest.raises(Late, match="left for too long"):
        take(store, slow, begun.token, {"appeal": 0}, 1.0, "b", 1900.0)
    assert [vote.answer for vote in every(store)] == [begun.shown[0], None]  # half an answer does not count


def test_a_late_vote_counts_where_there_is_still_room(tmp_path: Path) -> None:
    """Two places: the quick one's next visit takes the slow one's task back, but nobody wants it meanwhile."""
    store = opened(tmp_path, design([item(0)], raters_per_item=2))
    slow, quick = joined(store, 2)
    begun = next_task(store, slow, 0.0)
    assert isinstance(begun, Given)
    assert len(answer_all(store, quick)) == 1
    assert next_task(store, quick, 3600.0) == "done"
    assert status(store).begun == 0
    assert take(store, slow, begun.token, {"preference": "tie"}, 1.0, "a", 3601.0) == ()
    assert status(store).complete == 1


def test_a_late_vote_does_not_count_where_only_the_other_order_is_free(tmp_path: Path) -> None:
    """Two places, both left; the third rater takes the first place, and the first rater's order is free no more."""
    store = opened(tmp_path, design([item(0)], raters_per_item=2))
    slow, other, quick = joined(store, 3)
    begun, left = next_task(store, slow, 0.0), next_task(store, other, 0.0)
    again = next_task(store, quick, 3600.0)
    assert isinstance(begun, Given)
    assert isinstance(left, Given)
    assert isinstance(again, Given)
    assert begun.shown == again.shown != left.shown
    with pytest.raises(Late):
        take(store, slow, begun.token, {"preference": 0}, 1.0, "a", 3601.0)
    assert take(store, other, left.token, {"preference": 0}, 1.0, "a", 3601.0) == ()


def test_what_is_skipped_goes_to_others_and_does_not_come_back(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0)], raters_per_item=1))
    one, two = joined(store, 2)
    given = next_task(store, one, 0.0)
    assert isinstance(given, Given)
    skip(store, one, given.token, 0.0)
    skip(store, one, given.token, 0.0)
    assert next_task(store, one, 0.0) == "done"
    assert len(answer_all(store, two)) == 1


def test_a_paused_study_gives_nothing_and_takes_what_was_begun(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0), item(1)]))
    (rater,) = joined(store, 1)
    given = next_task(store, rater, 0.0)
    assert isinstance(given, Given)
    set_state(store, "paused")
    assert next_task(store, rater, 0.0) == "paused"
    assert take(store, rater, given.token, {"preference": 0}, 1.0, "a", 0.0) == ()
    set_state(store, "open")
    assert isinstance(next_task(store, rater, 0.0), Given)


def test_the_task_after_the_one_in_hand_is_kept_for_the_rater(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0), item(1), item(2, repeats=0)], raters_per_item=1))
    one, two = joined(store, 2)
    first, second = next_task(store, one, 0.0), next_task(store, one, 0.0, ahead=1)
    assert isinstance(first, Given)
    assert isinstance(second, Given)
    assert {first.item.id, second.item.id} == {0, 1}
    assert next_task(store, one, 1.0) == first
    assert next_task(store, one, 1.0, ahead=1) == second
    assert next_task(store, two, 1.0) == "wait"
    take(store, one, first.token, {"preference": 0}, 1.0, "a", 2.0)
    assert next_task(store, one, 2.0) == second


def test_who_skips_settles_an_item_and_completes_none(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0), item(1)], raters_per_item=1))
    (one,) = joined(store, 1)
    given = next_task(store, one, 0.0)
    assert isinstance(given, Given)
    skip(store, one, given.token, 0.0)
    assert (status(store).settled, status(store).complete, status(store).skipped) == (1, 0, 1)
    answer_all(store, one)
    assert (status(store).settled, status(store).complete) == (2, 1)


def rush(store: Store) -> None:
    """Eight raters at once over 10 items with 3 places each: 30 assignments in all, every slot once, sides balanced."""
    raters = joined(store, 8)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda rater: answer_all(store, rater), raters))
    with store.read() as connection:
        rows = connection.execute(select(assignment.c.item, assignment.c.slot, assignment.c.shown)).all()
    assert sorted((row.item, row.slot) for row in rows) == [*itertools.product(range(10), range(3))]
    assert sum(map(len, done)) == 30
    assert all(abs(3 - 2 * sum(row.shown == "[0, 1]" for row in rows if row.item == n)) == 1 for n in range(10))
    assert len({(vote.rater, vote.item) for vote in every(store)}) == len(every(store)) == 30


def test_two_raters_at_once_never_exceed_the_raters_of_an_item(tmp_path: Path) -> None:
    rush(opened(tmp_path, design([item(n) for n in range(10)], raters_per_item=3)))


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_nor_on_postgresql(tmp_path: Path) -> None:
    with postgresql() as url:
        store = opened(tmp_path / "study", design([item(n) for n in range(10)], raters_per_item=3), url)
        rush(store)
        store.close()


def test_after_an_undo_the_task_comes_before_the_one_in_hand(tmp_path: Path) -> None:
    store = opened(tmp_path, design([item(0), item(1), item(2)]))
    (rater,) = joined(store, 1)
    first = next_task(store, rater, 0.0)
    assert isinstance(first, Given)
    take(store, rater, first.token, {"preference": 0}, 1.0, "a", 0.0)
    second = next_task(store, rater, 0.0)
    assert undo(store, rater, "u", 1.0) == first
    assert undo(store, rater, "u", 1.0) == first
    assert next_task(store, rater, 2.0) == first
    take(store, rater, first.token, {"preference": 1}, 1.0, "b", 0.0)
    assert next_task(store, rater, 2.0) == second
    assert [vote.answer for vote in every(store)] == [first.shown[0], None, first.shown[1]]
