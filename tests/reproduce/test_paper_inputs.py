"""The papers' own scale: models, prompts, data and class names that a user gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import models, pictures
from tastemaker.base.errors import UserError
from tastemaker.cli.scorers import build
from tastemaker.reproduce import paper_profile as paper
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.exhibit import Missing
from tastemaker.reproduce.inception_exhibit import Inception
from tastemaker.reproduce.reproduce import chosen, exhibits, prices
from tastemaker.reproduce.runs import Shop


@pytest.fixture
def prompts(tmp_path: Path) -> tuple[Path, Path]:
    tune, test = tmp_path / "tune.txt", tmp_path / "test.txt"
    tune.write_text("a fox\na harbour\n")
    test.write_text("a sailor\na bowl\na hill\n")
    return tune, test


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("sd16=here", ("--base sd16=here", "sd15=FOLDER")),
        ("sd15", ("--base sd15", "sd15=FOLDER")),
        ("sd15=nowhere", ("nowhere", "no such folder")),
        ("sd15=.", ("model_index.json",)),
    ],
)
def test_bases_are_looked_at(
    base: str, words: tuple[str, ...], prompts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        paper.profile((base,), paper.DATA, *prompts)
    assert all(word in str(raised.value) for word in words)


@pytest.mark.parametrize(
    ("name", "save", "words"),
    [
        ("sdxl", models.save_tiny_sd, "holds a StableDiffusionPipeline; give Stable Diffusion XL"),
        ("sd15", models.save_tiny_sdxl, "holds a StableDiffusionXLPipeline; give Stable Diffusion 1.5"),
    ],
)
def test_a_base_of_another_architecture_is_refused(
    name: str, save: Any, words: str, prompts: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    save(folder)
    with pytest.raises(UserError, match=f"--base {name}={folder}: {words}"):
        paper.profile((f"{name}={folder}",), paper.DATA, *prompts)
    other = {"sdxl": "sd15", "sd15": "sdxl"}[name]
    made = paper.profile((f"{other}={folder}",), paper.DATA, *prompts)
    assert made.models[other].base == made.models[other + "-full"].base == str(folder)


def test_the_folder_of_hpsv2_s_benchmark_is_a_set_of_prompts_with_styles(
    prompts: tuple[Path, Path], tmp_path: Path
) -> None:
    """Four lists as published; a prompt of two styles is of the first. What a study with people asks goes by style."""
    folder, tune = tmp_path / "benchmark", prompts[0]
    folder.mkdir()
    for style in ("anime", "concept-art", "paintings", "photo"):
        (folder / f"{style}.json").write_text(json.dumps([f"a {style} hill", f"a {style} sea", "a bird"]))
    made = paper.profile((), paper.DATA, tune, folder)
    assert len(made.test()) == 4 * 2 + 1
    groups = made.groups()
    assert list(groups) == made.test()
    assert groups["a concept-art sea"] == "concept-art"
    assert groups["a bird"] == "anime"
    (folder / "photo.json").unlink()
    with pytest.raises(UserError, match=r"a folder without photo\.json, so it is not HPSv2's benchmark"):
        paper.profile((), paper.DATA, tune, folder)


def test_the_inception_score_is_of_imagenet_s_names(prompts: tuple[Path, Path], tmp_path: Path) -> None:
    """Without names the exhibit says what it needs, alone it is refused; with them each arm draws 50,000 images."""
    nameless = paper.profile((), paper.DATA, *prompts)
    keys = {f"inception-{model}" for model in nameless.papers["dde"]}
    assert {one.key for one in exhibits(nameless) if isinstance(one, Missing)} == keys
    with pytest.raises(UserError, match=r"--only inception: .*--class-names FILE"):
        chosen(exhibits(nameless), ("inception",))
    assert keys <= {one.key for one in chosen(exhibits(nameless), ("dde",))}
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"thing {number}" for number in range(1000)))
    named = paper.profile((), paper.DATA, *prompts, names=names, classifier="hf-classifier:checkpoint=owner/model")
    found = {one.key: one for one in chosen(exhibits(named), ("inception",))}
    assert set(found) == keys
    shop = Shop(tmp_path / "out", named, build)
    table = found["inception-sd15-full"]
    assert isinstance(table, Inception)
    (read,) = table.gallery.reads
    assert read.spec == "hf-classifier:checkpoint=owner/model"
    stages = list(table.stages(shop, (0, 1)))
    for stage in stages:
        assert stage.seconds == pytest.approx(50_000 * named.models["sd15-full"].speed.draw)
        assert stage.space == 50_000 * 3 * 512 * 512
    assert len(stages) == 1 + 2 * len(table.arms)
    (scored,) = chosen(exhibits(named), ("dde-sd15-full",))  # the same arms and no other images
    said = [prices(shop, [one], (0,))["in all"] for one in (scored, table)]
    space, more = (float(text.partition("hours, ")[2].partition(" GB")[0].replace(",", "")) for text in said)
    assert more - space == pytest.approx(7 * 50_000 * 3 * 512**2 / 1e9, abs=0.2)


def test_a_prompt_in_both_files_is_named(prompts: tuple[Path, Path]) -> None:
    tune, test = prompts
    test.write_text("a sailor\na harbour\n")
    with pytest.raises(UserError, match=r"--tune-prompts .*tune.txt: 'a harbour' is in --test-prompts .*test.txt"):
        paper.profile((), paper.DATA, tune, test)


def test_prompts_are_needed_and_read_once_each(prompts: tuple[Path, Path]) -> None:
    tune, test = prompts
    for given, name in (((None, test), "--tune-prompts"), ((tune, None), "--test-prompts")):
        with pytest.raises(UserError, match=name):
            paper.profile((), paper.DATA, *given)
    test.write_text("a sailor\na hill\na sailor\n")
    assert paper.profile((), paper.DATA, tune, test).test() == ["a sailor", "a hill"]


def test_data_on_disk_says_how_many_pairs_there_are(prompts: tuple[Path, Path], tmp_path: Path) -> None:
    pick = pictures.write_noise_pairs(tmp_path / "pick", pairs=20)
    made = paper.profile((), str(pick), *prompts)
    assert (made.split, made.pairs, made.images) == ("train", 20, 40)
    assert made.budget(Arm("sd15")) == 20
    assert made.budget(Arm("sd15", Pairs("best", "HPSv2", 0.16))) == 3  # 3.2
    assert made.budget(Arm("sd15", Pairs("all", passes=2))) == 40
    assert made.budget(Arm("sd15-full")) == 2000 * 2048
    with pytest.raises(UserError, match=r"--data .*nowhere: no such file"):
        paper.profile((), str(tmp_path / "nowhere"), *prompts)
