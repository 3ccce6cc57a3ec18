"""Weights are looked for before the first stage: in folders, in the hub's cache, and in the papers' own graph."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support import clip, models
from support.reproduced import by_hand, small_profile
from tastemaker.base.errors import UserError
from tastemaker.base.files import write_json
from tastemaker.cli.scorers import build
from tastemaker.reproduce import needed, paper_profile
from tastemaker.reproduce.arm import Arm, Pairs
from tastemaker.reproduce.profile import Judge, Profile
from tastemaker.reproduce.reproduce import exhibits, reproduce
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Needed, Stage, ordered

SCORERS = {"pickscore", "hpsv2", "imagereward", "aesthetic", "clip"}
RANKERS = SCORERS - {"clip"}


@pytest.fixture
def papers(tmp_path: Path) -> Profile:
    (tmp_path / "tune.txt").write_text("a fox\n")
    (tmp_path / "test.txt").write_text("a hen\n")
    return paper_profile.profile((), paper_profile.DATA, tmp_path / "tune.txt", tmp_path / "test.txt")


def read_by(shop: Shop, key: str) -> set[str]:
    """The specs of all that one exhibit needs, not yet looked for."""
    exhibit = next(one for one in exhibits(shop.profile) if one.key == key)
    return {need.spec for stage in ordered(exhibit.stages(shop, (0,))) for need in stage.reads}


def test_what_the_papers_exhibits_read(papers: Profile, tmp_path: Path) -> None:
    """Pairs alone want the rankers and no model; a table the judges too; D3PO its own scorers and one model."""
    shop, (sd15, sdxl) = Shop(tmp_path / "out", papers, build), paper_profile.BASES.values()
    assert read_by(shop, "pairs") == RANKERS
    assert read_by(shop, "table2") == SCORERS | {sd15}
    assert read_by(shop, "table1-sdxl") == SCORERS | {sdxl}
    assert read_by(shop, "samples-sd15") == SCORERS | {sd15}
    rewards = {"jpeg-size:prefer=small", "jpeg-size:prefer=large", "aesthetic", "clip", sd15}
    assert read_by(shop, "rewards") == read_by(shop, "rates") == rewards
    shop = replace(shop, profile=replace(papers, safety="hf-classifier:checkpoint=x,unsafe=y"))
    assert read_by(shop, "rates") == rewards | {"hf-classifier:checkpoint=x,unsafe=y"}


def test_what_each_stage_of_an_arm_reads(papers: Profile, tmp_path: Path) -> None:
    """Where there is one setting nothing is tuned, so nothing is judged."""
    shop, arm, sd15 = Shop(tmp_path, papers, build), Arm("sd15-full"), paper_profile.BASES["sd15"]
    judging = [shop.scored(arm, 0), shop.curve(arm, 0), shop.base("sd15-full")]
    assert [{need.spec for need in one.reads} for one in judging] == 3 * [SCORERS | {sd15}]
    others = shop.trained(arm, 0), shop.cache("sd15-full"), shop.tuned(arm), shop.pairs(Pairs("best", "Aesthetic"), 0)
    assert [[need.spec for need in one.reads] for one in others] == [[sd15], [sd15], [], ["aesthetic"]]
    small = by_hand(tmp_path)
    assert {need.spec for need in small.tuned(Arm("world")).reads} > {judge.spec for judge in small.profile.judges}


def stage(folder: Path, name: str, *reads: Needed) -> Stage:
    return Stage(name, "kind", folder / name / "out.json", lambda: None, reads=reads)


def test_only_what_unfinished_stages_read_is_looked_for_once_each_and_models_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, seen = by_hand(tmp_path), list[Needed]()
    monkeypatch.setattr(needed, "_find", lambda _, need: seen.append(need))
    one, two, model, old = (Needed("scorer", "a"), Needed("scorer", "b"), Needed("model", "m"), Needed("scorer", "old"))
    done = stage(tmp_path, "done", old)
    write_json(done.out, 1)
    stages = [done, stage(tmp_path, "first", model, one), stage(tmp_path, "second", one, two)]
    assert set(needed.find(shop, stages)) == {one, two, model}
    assert seen == [one, two, model]


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("scorer", "hpsv2:checkpoint=nowhere", "hpsv2: nowhere: no such file.*; into the hub's cache"),
        ("scorer", "hpsv2", "hpsv2: xswu/HPSv2: .*the hub does not give it"),
        ("classifier", "hf-classifier:checkpoint=nowhere", "hf-classifier: nowhere: no such file"),
        ("classifier", "inseption", "classifier 'inseption' is unknown, did you mean 'inception'"),
        ("classifier", "inception:checkpoint=nowhere", "nowhere: no such file; give torch-fidelity's"),
        ("safety", "hf-classifier:checkpoint=nowhere,unsafe=x", "hf-classifier: nowhere: no such file"),
        ("model", "nowhere", "nowhere: no such model folder.*; give its folder with --base"),
    ],
)
def test_what_is_missing_is_named(kind: str, spec: str, words: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, by_hand(tmp_path).profile, build)
    with pytest.raises(UserError, match=words) as raised:
        needed.find(shop, [stage(tmp_path, "one", Needed(kind, spec))])  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def in_cache(cache: Path, repo: str, folder: Path) -> None:
    """Lay ``folder`` out as the hub's client keeps a repository."""
    place = cache / f"models--{repo.replace('/', '--')}"
    shutil.copytree(folder, place / "snapshots" / ("0" * 40))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0" * 40)


def test_weights_in_the_hub_s_cache_are_found_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small weights in the published layout; the tokenizer, which is in a repository of its own, is missed as well."""
    cache, shop = tmp_path / "cache", Shop(tmp_path / "out", by_hand(tmp_path).profile, build)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    clip.save_open_clip(tmp_path / "hpsv2", "HPS_v2_compressed.pt")
    clip.save_tokenizer(tmp_path / "openai")
    in_cache(cache, "xswu/HPSv2", tmp_path / "hpsv2")
    wanted = [stage(tmp_path, "one", Needed("scorer", "hpsv2"))]
    with pytest.raises(UserError, match=r"hpsv2: openai/clip-vit-large-patch14: .*the hub does not give it"):
        needed.find(shop, wanted)
    in_cache(cache, "openai/clip-vit-large-patch14", tmp_path / "openai")
    assert needed.find(shop, wanted) == [Needed("scorer", "hpsv2")]


def test_a_missing_judge_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """The small world's graph with one judge more, whose weights are not there; what is finished needs none."""
    small, out = small_profile(tmp_path / "source"), tmp_path / "out"
    lacking = replace(small, judges=(*small.judges, Judge("hpsv2:checkpoint=nowhere", "HPSv2")))
    shop = Shop(out, lacking, build)
    with pytest.raises(UserError, match="hpsv2: nowhere"):
        reproduce(shop, ("table1",), (0,))
    assert "13 stages, 0 finished" in reproduce(shop, ("table1",), (0,), dry_run=True)["in all"]
    assert not out.exists()
    stages = ordered(next(one for one in exhibits(lacking) if one.key == "table1").stages(shop, (0,)))
    for one in stages:
        write_json(one.out, {})
    assert needed.find(shop, stages) == []


def test_all_that_the_small_world_reads_lies_in_the_package(tmp_path: Path) -> None:
    shop = Shop(tmp_path, replace(by_hand(tmp_path).profile, rankers={"world": "world"}), build)
    shop = replace(shop, profile=replace(shop.profile, judges=(Judge("world", "scorer"),)))
    stages = ordered(stage for exhibit in exhibits(shop.profile) for stage in exhibit.stages(shop, (0,)))
    assert {need.kind for need in needed.find(shop, stages)} == {"scorer", "model"}


def test_models_are_opened_by_their_index(tmp_path: Path) -> None:
    shop = by_hand(tmp_path)
    models.save_tiny_sd(tmp_path / "sd15")
    wanted = [stage(tmp_path, "one", Needed("model", str(tmp_path / "sd15")))]
    assert len(needed.find(shop, wanted)) == 1
    (tmp_path / "sd15" / "model_index.json").unlink()
    with pytest.raises(UserError, match=r"no model_index\.json in it"):
        needed.find(shop, wanted)
