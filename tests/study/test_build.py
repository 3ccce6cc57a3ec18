"""Tasks from generated images, data folders and rounds; the drawn order; a folder that needs nothing outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.pictures import jpeg
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes
from tastemaker.data.comparison import Comparison
from tastemaker.data.store import ImageStore, write_comparisons, write_images
from tastemaker.study.build import Task, arrange, create, from_comparisons, from_folders, from_round
from tastemaker.study.design import Plan, read
from tastemaker.study.vote import Image

PICTURES = [jpeg(seed) for seed in range(8)]
SHAS = [sha256_bytes(picture) for picture in PICTURES]


def generated(folder: Path, pictures: list[bytes], seed: int = 0) -> Path:
    """As `tastemaker generate` writes it: two prompts, two samples each."""
    folder.mkdir()
    rows = {"prompt_index": [0, 0, 1, 1], "prompt": ["p", "p", "q", "q"], "sample": [0, 1, 0, 1], "png": pictures}
    pq.write_table(pa.table(rows), folder / "images.parquet")
    (folder / "settings.json").write_text(json.dumps({"seed": seed}))
    return folder


def compared(folder: Path, *rows: tuple[str, int, int, str]) -> Path:
    found = [
        Comparison(str(n), prompt, SHAS[a], SHAS[b], label, model_a=f"m{a}", model_b=f"m{b}")  # type: ignore[arg-type]
        for n, (prompt, a, b, label) in enumerate(rows)
    ]
    write_comparisons(folder, found)
    write_images(folder, PICTURES)
    return folder


def tasks(number: int, gold: Any = None) -> list[Task]:
    return [Task(f"p{n} {gold}", (Image(f"{n}a"), Image(f"{n}b")), gold=gold) for n in range(number)]


def test_models_meet_on_the_same_prompt_and_sample(tmp_path: Path) -> None:
    one, two = generated(tmp_path / "a", PICTURES[:4]), generated(tmp_path / "b", PICTURES[4:])
    source = from_folders({"base": one, "tuned": two}, "pair", {"q": "animals"})
    assert [(task.prompt, task.category) for task in source.tasks] == [("p", "")] * 2 + [("q", "animals")] * 2
    pairs = [(Image(SHAS[n], "base"), Image(SHAS[4 + n], "tuned")) for n in range(4)]
    assert [task.images for task in source.tasks] == pairs
    three = {"a": one, "b": two, "c": one}
    assert len(from_folders(three, "pair").tasks) == 4 * 3
    assert [len(task.images) for task in from_folders(three, "rank").tasks] == [3] * 4


def test_folders_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    one, two = generated(tmp_path / "a", PICTURES[:4]), generated(tmp_path / "b", PICTURES[4:], seed=1)
    with pytest.raises(UserError, match="drawn with seed 1"):
        from_folders({"a": one, "b": two}, "pair")
    with pytest.raises(UserError, match=r"1 folder; give 2 or more models"):
        from_folders({"a": one}, "pair")
    assert len(from_folders({"a": one}, "flag").tasks) == 4


def test_pairs_are_taken_as_found_and_each_once(tmp_path: Path) -> None:
    data = compared(tmp_path, ("p", 0, 1, "b"), ("p", 1, 0, "a"), ("p", 2, 3, "tie"), ("q", 0, 1, "a"))
    found = from_comparisons(data).tasks
    assert [(task.prompt, task.images[0]) for task in found] == [
        ("p", Image(SHAS[0], "m0")),
        ("p", Image(SHAS[2], "m2")),
        ("q", Image(SHAS[0], "m0")),
    ]
    assert [task.gold for task in found] == [None] * 3
    assert [task.gold for task in from_comparisons(data, gold=True).tasks] == [1, 0]


def test_gold_that_contradicts_itself_or_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 contradicts 0; remove one"):
        from_comparisons(compared(tmp_path / "a", ("p", 0, 1, "a"), ("p", 1, 0, "a")), gold=True)
    with pytest.raises(UserError, match="holds no pair that has a winner"):
        from_comparisons(compared(tmp_path / "b", ("p", 0, 1, "tie")), gold=True)


def test_a_round_gives_every_two_samples_of_a_prompt(tmp_path: Path) -> None:
    write_images(tmp_path, PICTURES)
    source = from_round(tmp_path, [("p", SHAS[:3]), ("q", SHAS[3:5])], "pair")
    shown = [(task.prompt, *(SHAS.index(image.sha) for image in task.images)) for task in source.tasks]
    assert shown == [("p", 0, 1), ("p", 0, 2), ("p", 1, 2), ("q", 3, 4)]
    assert {sha256_bytes(data) for data in source.bytes()} == set(SHAS[:5])


def test_a_study_holds_all_it_needs_and_is_made_once(tmp_path: Path) -> None:
    data = compared(tmp_path / "data", ("p", 0, 1, "b"), ("p", 2, 3, "a"), ("q", 4, 5, "a"))
    gold = from_comparisons(compared(tmp_path / "gold", ("g", 6, 7, "b"), ("g", 0, 7, "b")), gold=True)
    plan = Plan(title="t", gold=1, repeats=1)
    made = create(tmp_path / "study", plan, from_comparisons(data), gold)
    assert read(tmp_path / "study") == made
    shas = {image.sha for item in made.items for image in item.images}
    assert set(ImageStore(tmp_path / "study" / "data").shas) == shas  # of gold only what was drawn
    assert [sha256_bytes(ImageStore(tmp_path / "study" / "data").read(sha)) for sha in sorted(shas)] == sorted(shas)
    assert create(tmp_path / "study", plan, from_comparisons(data), gold) == made
    with pytest.raises(UserError, match="another design stands here"):
        create(tmp_path / "study", Plan(title="u"), from_comparisons(data))
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="is there already and holds no study"):
        create(tmp_path / "other", plan, from_comparisons(data), gold)


def test_a_broken_image_leaves_no_study(tmp_path: Path) -> None:
    one, two = generated(tmp_path / "a", PICTURES[:4]), generated(tmp_path / "b", [*PICTURES[4:7], b"broken"])
    with pytest.raises(UserError, match="an image cannot be read"):
        create(tmp_path / "study", Plan(title="t"), from_folders({"a": one, "b": two}, "pair"))
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("seed", range(20))
def test_repetitions_and_gold_lie_among_the_rest_and_apart_from_their_originals(seed: int) -> None:
    """A share of 0.3 of 10 tasks is 3; originals are measured, each repeated once, two or more places before."""
    study = arrange(Plan(title="t", repeats=0.3, gold=2, seed=seed), tasks(10), tasks(5, gold=1))
    repeats = [item for item in study.items if item.repeats is not None]
    assert (len(study.items), len(repeats), study.checks) == (15, 3, 5)
    assert len({item.repeats for item in repeats}) == 3
    for item in repeats:
        assert item.repeats is not None
        original = study.items[item.repeats]
        assert original.measured
        assert item.id - original.id >= 2
        assert (item.images, item.prompt) == (original.images, original.prompt)
    assert {item.prompt for item in study.items if item.gold is None} == {task.prompt for task in tasks(10)}


def test_the_order_is_drawn_by_the_seed_alone() -> None:
    def of(seed: int) -> list[str]:
        return [item.prompt for item in arrange(Plan(title="t", gold=1, seed=seed), tasks(10), tasks(3, 0)).items]

    assert of(3) == of(3)
    assert of(3) != of(4)
    assert len({of(seed).index(next(p for p in of(seed) if p.endswith("0"))) for seed in range(20)}) > 5


def test_a_repetition_may_stand_at_any_place_two_or_more_after() -> None:
    """Three tasks, one repeated: original 0 and repeat 2 or 3, or original 1 and repeat 3; all come up."""
    plans = [arrange(Plan(title="t", repeats=1, seed=seed), tasks(3)).items for seed in range(60)]
    found = {(item.repeats, item.id) for items in plans for item in items if item.repeats is not None}
    assert found == {(0, 2), (0, 3), (1, 3)}


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(UserError, match="gold: 2 are asked for and 1 can be had; ask for fewer"):
        arrange(Plan(title="t", gold=2), tasks(3), tasks(1, gold=0))
    with pytest.raises(UserError, match="repeats: 3 are asked for and 2 can be had"):
        arrange(Plan(title="t", repeats=1.0), tasks(3))
    with pytest.raises(UserError, match="gives no task"):
        arrange(Plan(title="t"), [])
    with pytest.raises(UserError, match="3 images and the gold answer None are no task of kind pair"):
        arrange(Plan(title="t"), [Task("p", (Image("a"), Image("b"), Image("c")))])
