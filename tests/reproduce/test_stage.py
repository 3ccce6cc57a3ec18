"""The graph of stages: order, each once, finished ones need nothing, a failing one leaves nothing."""

from __future__ import annotations

import pytest

from support.reproduced import by_hand
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.stage import Cost, Stage, carry_out, costs, ordered


class Works:
    """Stages that write their names into files, and into ``done`` in the order of doing."""

    def __init__(self, folder) -> None:
        self.folder, self.done = folder, []

    def __call__(self, name: str, *needs: Stage, kind: str = "kind", seconds: float = 1.0) -> Stage:
        out = self.folder / name / "out"

        def do() -> None:
            assert all(need.done for need in needs)
            self.done.append(name)
            out.parent.mkdir(exist_ok=True)
            out.write_text(name)

        return Stage(name, kind, out, do, seconds, needs)


@pytest.fixture
def works(tmp_path):
    return Works(tmp_path)


def names(stages) -> list[str]:
    return [stage.name for stage in stages]


def test_what_is_needed_comes_first_and_each_once(works):
    """A diamond below two targets that share it, one of them named twice."""
    data = works("data")
    left, right = works("left", data), works("right", data)
    top, other = works("top", left, right), works("other", right)
    found = names(ordered([top, other, top]))
    assert sorted(found) == sorted({"data", "left", "right", "top", "other"})
    for stage in (left, right, top, other):
        assert all(found.index(need.name) < found.index(stage.name) for need in stage.needs)


def test_stages_with_one_name_are_one(works):
    assert names(ordered([works("same"), works("same")])) == ["same"]


def test_a_finished_stage_needs_nothing(works):
    """Its runs may have been removed to make room."""
    data = works("data")
    middle = works("middle", data)
    top = works("top", middle)
    middle.out.parent.mkdir()
    middle.out.write_text("")
    assert names(ordered([top])) == ["middle", "top"]
    assert carry_out(ordered([top])) == 1
    assert works.done == ["top"]


def test_all_is_done_once_and_nothing_twice(works):
    data = works("data")
    targets = [works("one", data), works("two", data)]
    assert carry_out(ordered(targets)) == 3
    assert sorted(works.done) == ["data", "one", "two"]
    assert carry_out(ordered(targets)) == 0
    assert len(works.done) == 3


def test_a_failing_stage_leaves_no_output_and_stops_what_needs_it(works, tmp_path):
    def fail() -> None:
        raise ValueError("no")

    bad = Stage("bad", "kind", tmp_path / "bad" / "out", fail)
    top = works("top", works("good"), bad)
    with pytest.raises(ValueError, match="no"):
        carry_out(ordered([top]))
    assert not bad.done
    assert not top.done
    assert works.done in ([], ["good"])


def test_a_stage_that_writes_nothing_is_a_fault_of_ours(tmp_path):
    with pytest.raises(AssertionError, match="lazy leaves"):
        carry_out([Stage("lazy", "kind", tmp_path / "lazy" / "out", lambda: None)])


def test_costs_by_hand(works):
    data = works("data", kind="import", seconds=7)
    stages = [data, works("a", data, kind="train", seconds=10), works("b", data, kind="train", seconds=20)]
    data.do()
    assert costs(stages) == [Cost("import", 1, 1, 0.0), Cost("train", 2, 0, 30.0)]


def test_exhibits_of_one_arm_share_its_stages(tmp_path):
    """Same name, same output; and no two stages of an arm's graph write to one place."""
    shop = by_hand(tmp_path)
    arm = Arm("world", Pairs("best", "world", 0.3))
    found = ordered([shop.scored(arm, 0), shop.curve(arm, 0), shop.scored(arm, 1), shop.base("world")])
    assert len({stage.name for stage in found}) == len({stage.out for stage in found}) == len(found)
    assert shop.pairs(arm.pairs, 0) == shop.pairs(arm.pairs, 1)
    assert sum(name.startswith("train") for name in names(found)) == 2
    assert sum(name.startswith("tune") for name in names(found)) == 1


def test_one_target_is_whole_before_the_next_begins(works):
    """`Exhibit.stages` asks for seed by seed: a run that is stopped has some seeds scored, not all of them trained."""
    data = works("data")
    targets = [works(f"score {seed}", works(f"train {seed}", data)) for seed in range(3)]
    expected = ["data", "train 0", "score 0", "train 1", "score 1", "train 2", "score 2"]
    assert names(ordered(targets)) == expected
