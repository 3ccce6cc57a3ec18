"""An export is whole or not there, holds what the votes say, and never destroys what it did not write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from study.pictured import answer, better, left, made
from study.studies import BIN, postgresql
from tastemaker.base.errors import UserError
from tastemaker.data.store import ImageStore, read_comparisons
from tastemaker.study import exporting, results
from tastemaker.study.db import Store, open_study
from tastemaker.study.exclusion import kept
from tastemaker.study.export import comparisons
from tastemaker.study.exporting import How, write
from tastemaker.study.series import open_series
from tastemaker.study.votes import every

ALL = ["results.json", "results.md", "results.png", "summary.json", "votes.csv", "votes.parquet"]
DATA = ["comparisons.parquet", "images/images-00000.parquet"]
RULES = {"one_side": 0.9, "evidence": 2}


def files(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def contents(folder: Path) -> dict[str, Any]:
    """Every file's bytes; of the summary all but how long it took."""
    found: dict[str, Any] = {name: (folder / name).read_bytes() for name in files(folder)}
    return found | {"summary.json": json.loads(found["summary.json"]) | {"seconds": 0}}


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people of one mind, and one who always takes the left image, whom the rules exclude; two questions."""
    folder = made(tmp_path_factory.mktemp("voted"), prompts=8, questions=("preference", "appeal"), rules=RULES)
    store = open_study(folder)
    for choose in (better, better, left):
        answer(store, choose)
    store.close()
    return folder


@pytest.fixture
def study(voted: Path, tmp_path: Path) -> Path:
    """A copy of it for this test."""
    return Path(shutil.copytree(voted, tmp_path / "study"))


@pytest.fixture
def store(study: Path) -> Store:
    return open_study(study)


def test_it_holds_votes_results_and_a_data_folder_for_each_question(study: Path, store: Store, tmp_path: Path) -> None:
    """The excluded rater is in the raw votes and in `before`, not in `after` and not in the data."""
    done = write(open_series(study), tmp_path / "out")
    folders = [f"{question}/{name}" for question in ("appeal", "preference") for name in DATA]
    assert files(tmp_path / "out") == sorted([*ALL, *folders])
    votes = every(store)
    assert pq.read_table(tmp_path / "out" / "votes.parquet").num_rows == len(votes) == 3 * 8 * 2
    found = results.results(store.design.items, votes, store.design.rules, least=2)
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert json.loads(json.dumps(results.to_json(found))).items() <= told.items()
    assert (told["title"], told["design"], told["state"]) == ("t", store.design.sha, "open")
    assert (told["complete"], told["items"]) == (8, 8)
    assert [len(told[stage][0]["win_rates"]) for stage in ("before", "after")] == [1, 1]
    for question in ("preference", "appeal"):
        data = tmp_path / "out" / question
        expected = comparisons(store.design.items, kept(votes, found.excluded), question, told["design"][:8])
        written = read_comparisons(data)
        assert [(row.prompt, row.images, row.share, row.votes) for row in written] == [
            (row.prompt, row.images, row.share, 2) for row in expected
        ]
        assert set(ImageStore(data).shas) == {sha for row in written for sha in row.images}
        assert {row.source.partition(":")[0] for row in written} == {f"study {store.design.sha[:8]}"}
    assert done["comparisons"] == {"preference": 8, "appeal": 8}
    assert (done["raters"], done["excluded"], done["votes"]) == (3, 1, 48)


def test_the_page_says_how_far_the_study_was(study: Path, tmp_path: Path) -> None:
    write(open_series(study), tmp_path / "out")
    text = (tmp_path / "out" / "results.md").read_text()
    assert text.startswith("# t\n\n8 of 8 tasks have all their raters; the study is open.\n\n![")
    with Image.open(tmp_path / "out" / "results.png") as picture:
        assert picture.width > 800


def test_a_majority_is_more_than_half_of_the_raters_unless_it_is_said(study: Path, tmp_path: Path) -> None:
    """Of three raters two say tuned: with two votes every duel is decided, with four none."""

    def wins(how: How, name: str) -> tuple[int, int]:
        write(open_series(study), tmp_path / name, how)
        rate = json.loads((tmp_path / name / "results.json").read_text())["before"][0]["win_rates"][0]
        return rate["losses"], rate["undecided"]

    assert wins(How(), "a") == (8, 0)
    assert wins(How(least=4), "b") == (0, 8)


def test_no_rater_is_named(study: Path, store: Store, tmp_path: Path) -> None:
    write(open_series(study), tmp_path / "out")
    written = b"".join((tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out"))
    assert not [rater for rater in {vote.rater for vote in every(store)} if rater.encode() in written]
    assert b"somebody" not in written


def test_the_same_votes_change_nothing(study: Path, tmp_path: Path) -> None:
    first = write(open_series(study), tmp_path / "out")
    (tmp_path / "out" / "preference" / "scores").mkdir()
    (tmp_path / "out" / "preference" / "scores" / "mine").write_text("dear")
    before = stamps(tmp_path / "out")
    assert json.dumps(write(open_series(study), tmp_path / "out"), default=str) == json.dumps(first, default=str)
    assert stamps(tmp_path / "out") == before
    assert not [*tmp_path.glob(".tmp-*")]


def test_more_votes_or_other_settings_replace_all_of_it(study: Path, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(open_series(study), out)
    before = contents(out)
    write(open_series(study), out, How(confidence=0.5))
    assert {name for name, said in contents(out).items() if said != before[name]} == {
        "results.json", "results.md", "results.png", "summary.json",
    }  # fmt: skip
    write(open_series(study), out)
    assert contents(out) == before
    item = store.design.items[0]
    with store.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE vote SET answer = 'null' WHERE assignment IN (SELECT id FROM assignment WHERE item = {item.id})"
        )
    assert write(open_series(study), out)["comparisons"] == {"preference": 7, "appeal": 7}
    assert item.prompt not in {row.prompt for row in read_comparisons(out / "appeal")}
    assert not [*tmp_path.glob(".tmp-*")]


def test_what_no_export_wrote_is_never_lost(study: Path, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(open_series(study), out)
    (out / "preference" / "scores").mkdir()
    (out / "preference" / "scores" / "mine").write_text("dear")
    before = stamps(tmp_path / "out")
    with pytest.raises(UserError, match=r"preference/scores/mine: no export wrote it.*move it away, or choose another"):
        write(open_series(study), out, How(seed=1))
    assert stamps(out) == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear")
    for place in (tmp_path / "notes", study, tmp_path):
        with pytest.raises(UserError, match="holds no export of this study; choose another --out"):
            write(open_series(study), place)
    assert (tmp_path / "notes" / "diary.txt").read_text() == "dear"
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"a file is in the way\); choose another folder"):
        write(open_series(study), tmp_path / "file")


def test_the_export_of_another_study_is_not_replaced(study: Path, tmp_path: Path) -> None:
    write(open_series(study), tmp_path / "out")
    other = made(tmp_path / "other", prompts=2)
    answer(open_study(other))
    with pytest.raises(UserError, match="holds no export of this study"):
        write(open_series(other), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert write(open_series(other), tmp_path / "empty")["votes"] == 2


def test_without_votes_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nobody has voted yet"):
        write(open_series(made(tmp_path)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_all_are_excluded_there_are_results_and_no_data(tmp_path: Path) -> None:
    study = made(tmp_path, rules=RULES)
    answer(open_study(study), left)
    assert write(open_series(study), tmp_path / "out")["comparisons"] == {"preference": 0}
    assert files(tmp_path / "out") == ALL


def test_flags_are_data_too(tmp_path: Path) -> None:
    """Everybody flags what base made: one pair a prompt."""
    study = made(tmp_path, kind="flag", flags=("hands",))
    for _ in range(3):
        answer(open_study(study), lambda given, _: [[1 - better(given, ""), "hands"]])
    assert write(open_series(study), tmp_path / "out")["comparisons"] == {"flags": 4}
    assert {row.label for row in read_comparisons(tmp_path / "out" / "flags")} == {"a"}


def test_every_round_of_a_run_has_its_folder(tmp_path: Path) -> None:
    """The second round has no votes yet, then it has; the first is as it was."""
    run, out = tmp_path / "run", tmp_path / "out"
    for number in range(2):
        study = made(tmp_path / str(number), prompts=number + 1)
        shutil.copytree(study, run / f"rounds/round-{number:03d}/study")
    (run / "recipe.yaml").write_text("{}")
    series = open_series(run)
    first, second = series.stores()
    answer(first)
    assert [*write(series, out)["rounds"]] == ["round-000"]
    before = (out / "round-000" / "votes.csv").read_bytes()
    answer(second)
    assert [found["comparisons"] for found in write(series, out)["rounds"].values()] == [
        {"preference": 1}, {"preference": 2},
    ]  # fmt: skip
    one = [*ALL, *(f"preference/{name}" for name in DATA)]
    assert files(out) == sorted(
        ["summary.json", *(f"round-00{n}/{name}" for n in (0, 1) for name in one if name != "summary.json")]
    )
    assert (out / "round-000" / "votes.csv").read_bytes() == before


def test_two_exports_at_once_are_refused(study: Path, tmp_path: Path) -> None:
    with exporting._workspace(tmp_path / "out"), pytest.raises(UserError, match="another process is working here"):
        write(open_series(study), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_a_study_on_postgresql_is_exported_alike(tmp_path: Path) -> None:
    """The same answers by as many people: all but their pseudonyms and the database is the same."""
    told = []
    with postgresql() as url:
        for name, where in (("lite", ""), ("real", url)):
            study = made(tmp_path / name, rules=RULES)
            store = open_study(study, where)
            for choose in (better, better, left):
                answer(store, choose)
            series = open_series(study, where)
            done = write(series, tmp_path / name / "out")
            assert write(series, tmp_path / name / "out") == json.loads(json.dumps(done, default=str))
            told.append([done[key] for key in ("votes", "raters", "excluded", "comparisons", "design")])
            told[-1].append([row.pair_id for row in read_comparisons(tmp_path / name / "out" / "preference")])
            store.close()
            series.close()
    assert told[0] == told[1]
    assert told[0][:3] == [12, 3, 1]
