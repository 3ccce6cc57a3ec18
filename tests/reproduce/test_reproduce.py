"""The verb's choice of exhibits, its costs, and several processes in one folder."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from support.reproduced import by_hand, write_arm, write_base
from tastemaker.base.errors import UserError
from tastemaker.base.files import locked, write_json
from tastemaker.reproduce import mark, paper_profile, world_profile
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.reproduce import announce, chosen, exhibits, prices, reproduce, retell, tell
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Stage, awaited, carry_out, held, ordered


def no_scorer(spec: str) -> None:
    raise AssertionError("nothing may be scored")


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """The paper's, with 2 prompts to choose by and 3 to report."""
    (tmp_path / "tune.txt").write_text("a\nb\n")
    (tmp_path / "test.txt").write_text("c\nd\ne\n")
    return paper_profile.profile((), paper_profile.DATA, tmp_path / "tune.txt", tmp_path / "test.txt")


@pytest.fixture
def shop(profile: Profile, tmp_path: Path) -> Shop:
    return Shop(tmp_path / "out", profile, no_scorer)  # type: ignore[arg-type]


def keys(shop: Shop, *only: str) -> list[str]:
    return [exhibit.key for exhibit in chosen(exhibits(shop.profile), only)]


def stage(folder: Path, name: str, needs: tuple[Stage, ...] = (), log: list[str] | None = None) -> Stage:
    def do() -> None:
        if log is not None:
            log.append(name)
        write_json(folder / name / "out.json", name)

    return Stage(name, "kind", folder / name / "out.json", do, 1.0, needs)


def test_exhibits_are_chosen_by_key_by_its_beginning_and_by_paper(shop: Shop) -> None:
    assert keys(shop, "table1") == ["table1-sd15", "table1-sdxl"]
    assert keys(shop, "table1-sdxl", "table4") == ["table1-sdxl", "table4"]
    assert {"dde-sd15-full", "dde-sdxl-full", "steps-sd15-full"} <= set(keys(shop, "dde"))
    assert keys(shop) == [exhibit.key for exhibit in exhibits(shop.profile)]
    with pytest.raises(UserError, match=r"--only table9: no such table.*there are .*table1, table1-sd15"):
        keys(shop, "table1", "table9")


def test_a_dry_run_does_nothing_and_counts_what_is_shared_once(shop: Shop) -> None:
    """Tables 1 (SD1.5) and 2 of one seed, by hand.

    Both: data, all pairs in one order, best 5.33 %, cache, base. Table 1: one random set, the tuning of DPO, three runs
    with scores. Table 2: best 10.6 %, two kinds of tuning, four runs with scores.
    """
    said = reproduce(shop, ("table1-sd15", "table2"), (0,), dry_run=True)
    assert not shop.out.exists()
    counts = {key: int(text.split()[0]) for key, text in said["exhibits"].items()}
    assert counts == {"table1-sd15": 5 + 1 + 1 + 6, "table2": 5 + 1 + 2 + 8}
    assert said["in all"].startswith(f"{13 + 16 - 5} stages, 0 finished, ")
    assert said["machine"] == "one H200"
    assert said["measured"].startswith("790 TFLOP/s of the card in bfloat16; 32.2 pairs/s of an SD1.5 LoRA")
    assert {"counted", "disk"} <= set(said)


def test_hours_of_a_table_by_hand(shop: Shop) -> None:
    """959,500 pairs at 5.046 / 162.74 s and 2 · 51,200: 9.15 h; and data, encoding, drawing as the stages say."""
    stages = ordered(next(e for e in exhibits(shop.profile) if e.key == "table1-sd15").stages(shop, (0,)))
    training = sum(each.seconds for each in stages if each.kind == "train")
    assert training / 3600 == pytest.approx((959_500 + 2 * 51_200) * 5.046 / 162.74 / 3600)
    whole = sum(each.seconds for each in stages) / 3600
    assert f", {whole:,.2f} hours, " in reproduce(shop, ("table1-sd15",), (0,), dry_run=True)["in all"]


def test_finished_stages_cost_nothing_more(shop: Shop) -> None:
    before = reproduce(shop, ("table1-sd15",), (0,), dry_run=True)["in all"]
    write_json(shop.out / "runs" / "sd15-base" / "scores.json", {})
    after = reproduce(shop, ("table1-sd15",), (0,), dry_run=True)["in all"]
    assert "13 stages, 0 finished" in before
    assert "13 stages, 1 finished" in after


def test_disk_by_hand(shop: Shop) -> None:
    """8 checkpoints of a LoRA of 12,754,944 weights and two moments; (3 + 8 · 2) images of 512² · 3 bytes."""
    arm, wide = Arm("sd15"), Arm("sd15", rank=256)
    drawn = 3 * 512 * 512
    assert shop.trained(arm, 1).space == 8 * 12 * 12_754_944
    assert shop.trained(wide, 1).space == 4 * shop.trained(arm, 1).space
    assert shop.scored(arm, 0).space == (3 + 8 * 2) * drawn
    assert shop.scored(replace(arm, last=True), 0).space == 3 * drawn, "no checkpoint is chosen"
    assert shop.curve(arm, 0).space == 8 * 3 * drawn
    assert shop.base("sd15").space == 3 * drawn
    assert shop.cache("sd15").space == shop.profile.images * shop.profile.models["sd15"].room.cached


def test_what_is_said_before_work_begins_is_the_dry_run_without_its_lists(shop: Shop) -> None:
    said, whole = announce(shop, ("table1",), (0,)), reproduce(shop, ("table1",), (0,), dry_run=True)
    assert said == {name: value for name, value in whole.items() if name not in ("exhibits", "kinds")}
    assert "hours" in said["in all"]


def test_a_page_is_written_of_what_is_finished_and_nothing_is_run(tmp_path: Path) -> None:
    made = by_hand(tmp_path / "out")
    with pytest.raises(UserError, match="nothing has run here yet"):
        retell(made)
    assert not made.out.exists()
    mark.leave(made)
    write_base(made, {"utility": [0.5] * 4, "correct": [1.0] * 4})
    write_arm(made, Arm("world"), 0, {"utility": [0.6] * 4, "correct": [1.0] * 4})
    assert "| DPO | 1 | 0.600" in retell(made)["page"].read_text()


def test_the_world_counts_no_disk(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "out", world_profile.profile(), no_scorer)  # type: ignore[arg-type]
    said = prices(shop, chosen(exhibits(shop.profile), ("table1",)), (0,))
    assert "GB" not in said["in all"]
    assert said["machine"] == "one core"


def test_stages_run_once_and_what_is_needed_first(tmp_path: Path) -> None:
    log: list[str] = []
    first = stage(tmp_path, "first", log=log)
    second = stage(tmp_path, "second", (first,), log)
    third = stage(tmp_path, "third", (first, second), log)
    assert carry_out(ordered([third, second, first])) == 3
    assert log == ["first", "second", "third"]
    assert carry_out(ordered([third, second, first])) == 0


def hold(folder: Path, seconds: float, writes: Path | None = None) -> subprocess.Popen[bytes]:
    """Another process that has ``folder`` for a while, and then writes a file; returns when it has it."""
    script = f"""
        import time
        from pathlib import Path
        from tastemaker.base.files import locked, write_json
        with locked(Path({str(folder)!r})):
            Path({str(folder / "held")!r}).touch()
            time.sleep({seconds})
            {"" if writes is None else f"write_json(Path({str(writes)!r}), 'theirs')"}
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    while not (folder / "held").exists():
        assert child.poll() is None
        time.sleep(0.01)
    return child


def test_a_stage_that_another_process_is_at_is_passed_over_and_not_done_again(tmp_path: Path) -> None:
    log: list[str] = []
    first, other = stage(tmp_path, "first", log=log), stage(tmp_path, "other", log=log)
    second = stage(tmp_path, "second", (first,), log)
    child = hold(first.lock, 1.0, first.out)
    assert carry_out([first, second, other], pause=0.05) == 2
    assert log == ["other", "second"]
    assert first.out.read_text() == '"theirs"\n'
    assert child.wait() == 0


def test_a_stage_that_was_finished_while_its_lock_was_taken_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    only = stage(tmp_path, "only", log=log)

    @contextlib.contextmanager
    def late(folder: Path) -> Iterator[bool]:
        write_json(only.out, "theirs")
        yield True

    monkeypatch.setattr("tastemaker.reproduce.stage.held", late)
    assert carry_out([only]) == 0
    assert log == []


def test_a_stage_whose_process_fell_is_done_here(tmp_path: Path) -> None:
    log: list[str] = []
    only = stage(tmp_path, "only", log=log)
    child = hold(only.lock, 60)
    child.kill()
    child.wait()
    assert carry_out([only], pause=0.05) == 1
    child = hold(stage(tmp_path, "more").lock, 0.5)
    assert carry_out([stage(tmp_path, "more", log=log)], pause=0.05) == 1
    assert log == ["only", "more"]
    assert child.wait() == 0


def test_a_stage_that_fails_is_free_again_and_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise UserError("x.yaml: wrong")

    broken = Stage("broken", "kind", tmp_path / "broken" / "out.json", fail)
    with pytest.raises(UserError, match=r"x\.yaml"):
        carry_out([broken])
    assert not broken.done
    with held(broken.lock) as mine:
        assert mine


def test_a_folder_that_cannot_be_made_is_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file is in the way"), held(tmp_path / "file" / "below"):
        pass


def test_locks_lie_apart_from_what_the_verbs_lock(shop: Shop) -> None:
    """No two stages share one, and none is a folder that a verb writes to."""
    arms = [Arm("sd15"), Arm("sdxl")]
    stages: Sequence[Stage] = ordered(
        [make(arm, seed) for arm in arms for seed in (0, 1) for make in (shop.scored, shop.curve)]
    )
    locks = [each.lock for each in stages]
    assert len(set(locks)) == len(locks)
    assert not {each.out.parent for each in stages} & set(locks)
    assert all(lock.is_relative_to(shop.out) for lock in locks)


def test_the_page_waits_for_its_turn(shop: Shop) -> None:
    child = hold(shop.out, 0.5)
    started = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tastemaker.reproduce.reproduce.awaited", lambda folder: awaited(folder, 0.05))
        tell(shop, [])
    assert time.monotonic() - started > 0.2
    assert child.wait() == 0
    assert (shop.out / "page" / "README.md").read_text().startswith("# The papers' tables and figures, profile paper")
    with locked(shop.out):
        pass
