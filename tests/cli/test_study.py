"""`tastemaker study`: a study's whole way on the command line, and what is said where something is missing."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.test_help import HEAVY, help_cost
from study.pictured import answer, better, generated, left, made
from study.studies import BIN, postgresql
from tastemaker.cli import app
from tastemaker.data.store import read_comparisons
from tastemaker.study.db import open_study
from tastemaker.study.design import read
from tastemaker.study.raters import join, known
from tastemaker.study.series import open_series
from tastemaker.study.votes import every

CREATE = (
    "study create --out study --images base=images/base tuned=images/tuned --questions preference appeal --raters 2 "
    "--rule one_side=0.9 evidence=2 --repeats 0.25 --seed 3"
)


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE", "PASSPHRASE", "ADMIN_SECRET"):
        monkeypatch.delenv(f"TASTEMAKER_{name}", raising=False)
    return tmp_path


@pytest.fixture
def images() -> None:
    for name, seed in (("base", 0), ("tuned", 100)):
        generated(Path("images") / name, seed, prompts=8)


def run(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command prints."""
    code = app.main(shlex.split(line))
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


def refused(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert app.main(shlex.split(line)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def facts(text: str) -> dict[str, str]:
    """The lines of a summary."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("  ") for line in text.splitlines())}


@pytest.mark.usefixtures("images")
def test_from_images_to_ranked_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    """One says tuned wherever it stands, the other always left: the rules exclude the other from the data."""
    told = facts(run(CREATE, capsys))
    assert (told["tasks"], told["repetitions"], told["ratings needed"], told["people needed"]) == ("8", "2", "16", "2")
    assert "agreement" not in run("study status study", capsys)
    store = open_study(Path("study"))
    for choose in (better, left):
        answer(store, choose)
    status = run("study status study", capsys)
    assert facts(status)["votes"] == (votes := str(len(every(store))))
    assert facts(status)["complete"] == "8"
    assert "preference" in status.partition("agreement so far")[2]
    assert not {"win", "base", "tuned"} & set(status.lower().split())
    exported = facts(run("study export study --out votes", capsys))
    assert (exported["votes"], exported["raters"], exported["excluded"]) == (votes, "2", "1")
    assert facts(run("study export study --out votes", capsys)) == exported
    run("score votes/appeal --scorer jpeg-size", capsys)
    run("rank votes/appeal --scorer jpeg-size --fraction 1 --out ranked", capsys)
    pairs = pq.read_table("ranked/pairs.parquet").to_pylist()
    models = {image.sha: image.model for item in store.design.items for image in item.images}
    assert [(models[pair["winner"]], models[pair["loser"]]) for pair in pairs] == [("tuned", "base")] * 8


@pytest.mark.usefixtures("images")
def test_the_same_command_changes_nothing_and_another_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    first = run(CREATE, capsys)
    assert first.endswith("Next: tastemaker study serve study, and tastemaker study invite study --count 2\n")
    before = {path: path.stat().st_mtime_ns for path in Path("study").rglob("*")}
    assert run(CREATE, capsys) == first
    assert {path: path.stat().st_mtime_ns for path in Path("study").rglob("*")} == before
    said = refused(f"{CREATE} --raters 3", capsys)
    assert "study.json: another design stands here, and it is fixed; choose another folder" in said


@pytest.mark.usefixtures("images")
def test_every_argument_of_create_reaches_the_design(capsys: pytest.CaptureFixture[str]) -> None:
    made(Path("gold"), prompts=3)
    answer(open_study(Path("gold/study")))
    run("study export gold/study --out known --least 1", capsys)
    Path("consent.txt").write_text("I agree — gern.\n", encoding="utf-8")
    Path("kinds.csv").write_text("prompt,category\nprompt 3,animals\n")
    run(
        "study create --out study --images a=images/base b=images/tuned --raters 4 --quota 5 --repeats 1 --count 6 "
        "--gold-data known/preference --gold 2 --rule gold-missed=0.4 few_votes=2 --title Größe --minutes 5 --seed 9 "
        "--consent-file consent.txt --categories kinds.csv --questions alignment",
        capsys,
    )
    design = read(Path("study"))
    assert (design.title, design.questions, design.raters_per_item, design.quota) == ("Größe", ("alignment",), 4, 5)
    assert (design.repeats, design.gold, design.minutes, design.seed) == (1, 2, 5, 9)
    assert (design.rules.gold_missed, design.rules.few_votes, design.rules.one_side) == (0.4, 2, None)
    assert design.consent == "I agree — gern.\n"
    assert [sum(item.measured for item in design.items), design.checks, len(design.items)] == [6, 3, 9]
    assert {item.category for item in design.items if item.measured} <= {"animals", ""}
    flags = "study create --out flags --images a=images/base --kind flag --flags hands 'too many fingers'"
    run(f"{flags} --consent yes", capsys)
    assert read(Path("flags")).flags == ("hands", "too many fingers")
    run("study create --out pairs --data known/preference --kind best", capsys)
    assert [len(item.images) for item in read(Path("pairs")).items] == [2] * 3


@pytest.mark.parametrize(
    ("more", "culprit", "way"),
    [
        ("--images base=images/base tuned=images/tuned --data x", "--images and --data", "give one of them"),
        ("", "--images and --data", "give one of them"),
        ("--images images/base", "--images images/base", "such as base=images/base"),
        ("--images a=images/base a=images/tuned", "the name a stands there twice", "give each model its own"),
        ("--images a=images/base", "1 folder", "give 2 or more models"),
        ("--images a=images/base b=nowhere", "nowhere", "make it first"),
        ("--data nowhere", "nowhere/comparisons.parquet", "tastemaker import"),
        ("{two} --kind best --flags hands", "flags: ['hands']", "leave them out"),
        ("{two} --kind flag", "flags: []", "name at least one"),
        ("{two} --kind flag --flags hands --questions appeal", "--questions appeal", "leave it out"),
        ("{two} --kind vote", "'vote'", "'pair'"),
        ("{two} --questions beauty", "beauty", "see tastemaker study create --help"),
        ("{two} --questions appeal appeal", "questions", "give each name once"),
        ("{two} --raters 0", "--raters 0", "at least 1"),
        ("{two} --quota 0", "quota: 0", "greater than or equal to 1"),
        ("{two} --repeats 1.5", "--repeats 1.5", "nor a share up to 1 (0.1)"),
        ("{two} --repeats -1", "--repeats -1", "nor a share up to 1 (0.1)"),
        ("{two} --gold-data pairs --gold 2.0", "--gold 2.0", "nor a share up to 1 (0.1)"),
        ("{two} --repeats 100", "repeats: 100", "ask for fewer"),
        ("{two} --gold 3", "--gold 3", "give --gold-data"),
        ("{two} --gold-data nowhere", "nowhere/comparisons.parquet", "tastemaker import"),
        ("{two} --rule gold_mised=0.4", "rules.gold_mised", "did you mean 'gold_missed'?"),
        ("{two} --rule gold_missed=4", "rules.gold_missed: 4", "less than 1"),
        ("{two} --rule gold_missed", "--rule gold_missed", "such as gold_missed=0.4"),
        ("{two} --count 0", "--count 0", "ask for 1 or more"),
        ("{two} --categories nowhere.csv", "nowhere.csv", "give .csv, .tsv or .jsonl"),
        ("{two} --consent a --consent-file b", "--consent and --consent-file", "give one of them"),
        ("{two} --consent-file nowhere", "--consent-file nowhere", "text in UTF-8"),
        ("{two} --title ''", "title", "at least 1 character"),
        ("{two} --minutes 0", "minutes: 0", "greater than 0"),
        ("{two} --seed -1", "seed: -1", "greater than or equal to 0"),
    ],
)
@pytest.mark.usefixtures("images")
def test_a_mistake_is_one_line_and_makes_nothing(
    more: str, culprit: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(f"study create --out study {more.format(two='--images a=images/base b=images/tuned')}", capsys)
    assert culprit in said
    assert way in said
    assert not Path("study").exists()


def test_invitations_are_links_that_join(capsys: pytest.CaptureFixture[str]) -> None:
    study = made(Path())
    assert app.main(shlex.split(f"study invite {study} --count 3 --public-url https://s.example.org/")) == 0
    said = capsys.readouterr()
    links = said.out.splitlines()
    assert len(set(links)) == 3
    assert "Each link works for one person" in said.err
    store = open_study(study)
    for link in links:
        start, token = link.rsplit("/", 1)
        assert start == "https://s.example.org/join"
        assert known(store, token)
    join(store, "Ada", token, 0.0)
    assert run(f"study invite {study}", capsys).startswith("http://127.0.0.1:8000/join/")
    assert "--count 0: must be at least 1" in refused(f"study invite {study} --count 0", capsys)
    assert "public_url: 'example.org'" in refused(f"study invite {study} --public-url example.org", capsys)
    assert "holds no study and no run" in refused("study invite nowhere", capsys)


def test_before_the_first_round_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").mkdir()
    Path("run/recipe.yaml").write_text("{}")
    assert run("study status run", capsys) == "run: no round is open yet\n"
    assert "run: no round is open yet; start `tastemaker d3po`" in refused("study invite run", capsys)
    assert "nobody has voted yet" in refused("study export run --out new", capsys)


def test_rounds_are_shown_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        made(Path(f"run/rounds/round-00{number}"))
    Path("run/recipe.yaml").write_text("{}")
    answer(open_series(Path("run")).stores()[1])
    told = run("study status run", capsys)
    assert [line for line in told.splitlines() if not line.startswith(" ")] == ["round-000", "round-001"]
    assert [line.split()[1] for line in told.splitlines() if line.startswith("  votes")] == ["0", "4"]


def test_the_database_is_named_without_its_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = made(Path())
    url = "postgresql://me:hidden@127.0.0.1:1/none"
    for line in (f"study status {study} --database {url}", f"study status {study}"):
        said = refused(line, capsys)
        assert "127.0.0.1:1" in said
        assert "hidden" not in said
        monkeypatch.setenv("TASTEMAKER_DATABASE", url)


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "initdb").exists(), reason="no PostgreSQL server under /usr/lib/postgresql")
def test_a_study_on_postgresql(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    study = made(Path())
    with postgresql() as url:
        monkeypatch.setenv("TASTEMAKER_DATABASE", url)
        (link,) = run(f"study invite {study}", capsys).split()
        store = open_study(study, url)
        assert known(store, link.rpartition("/")[2])
        answer(store)
        told = run(f"study status {study}", capsys)
        assert facts(told)["votes"] == "4"
        assert "hidden" not in told
        run(f"study export {study} --out out --least 1", capsys)
        assert len(read_comparisons(Path("out/preference"))) == 4
        assert not list(study.glob("*.sqlite"))
        store.close()


@pytest.mark.parametrize("verb", ["create", "serve", "invite", "status", "export"])
def test_help_loads_nothing_heavy(verb: str) -> None:
    cost, text = help_cost("study", verb, "--help")
    assert f"usage: tastemaker study {verb}" in text
    assert [name for name in (*HEAVY, "sqlalchemy", "fastapi", "uvicorn") if name in cost["modules"]] == []


def test_the_help_of_every_verb_says_where_secrets_go(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("serve", "invite", "status", "export"):
        assert app.main(["study", verb, "--help"]) == 0
        assert "TASTEMAKER_DATABASE" in capsys.readouterr().out
    assert app.main(["study"]) == 0
    assert json.dumps(capsys.readouterr().out).count("Print personal links") == 1
