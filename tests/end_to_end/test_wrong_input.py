"""Mistakes that people make, by verb: one line that names the culprit and a way out, exit code 2, nothing written."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from support.mistakes import CASES
from support.models import save_tiny_sd
from support.pictures import write_noise_pairs
from tastemaker.cli import app

ROOT = Path(__file__).resolve().parents[2]
BEGUN = ("recipe.yaml", "metrics.jsonl", "timing.jsonl")
"""What a training run that has begun leaves; it goes on when the same command is given again."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outputs of every stage, and damaged copies of them in `bad/`."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "recipes", "recipes")
        save_tiny_sd(Path("sd"))
        write_noise_pairs(Path("pick"), pairs=12)
        Path("prompts.txt").write_text("a cat\n")
        Path("others.txt").write_text("a dog\n")
        for line in (
            "import pick --out data", "score data --scorer jpeg-size", "rank data --scorer jpeg-size --out best",
            "encode best --data data --model sd --out cache",
            *(f"generate --model sd --prompts prompts.txt --steps 1 --out images/{name}" for name in ("base", "tuned")),
            "generate --model sd --prompts others.txt --steps 1 --out images/other",
            "study create --images base=images/base tuned=images/tuned --out study", "study status study",
        ):  # fmt: skip
            assert app.main(shlex.split(line)) == 0
        spoil()
    return folder


def spoil() -> None:
    bad = Path("bad")
    (bad / "empty").mkdir(parents=True)
    texts = {
        "file": "x", "text.parquet": "no Parquet", "x.zip": "PK", "empty.jsonl": "", "columns.jsonl": '{"a": 1}\n',
        "blank.txt": "\n \n", "lora.safetensors": "0123456789" * 20, "list.yaml": "- a\n", "open.yaml": "model: [\n",
        "betta.yaml": Path("recipes/sd15/qsd-dpo.yaml").read_text().replace("beta:", "betta:"),
    }  # fmt: skip
    for name, text in texts.items():
        (bad / name).write_text(text)
    (bad / "latin.txt").write_bytes(b"caf\xe9\n")
    shutil.copy(next(Path("pick").glob("*.parquet")), bad / "cut.parquet")
    cut(bad / "cut.parquet")
    shutil.rmtree(_copy("data", "unscored") / "scores")
    shutil.rmtree(_copy("sd", "no-vae") / "vae")
    (_copy("sd", "noindex") / "model_index.json").unlink()
    (_copy("sd", "list-index") / "model_index.json").write_text("[]")
    (_copy("sd", "flux") / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    (_copy("cache", "no-index") / "cache.json").write_text("{}")
    cut(_copy("sd", "cut-unet") / "unet" / "diffusion_pytorch_model.safetensors")
    cut(_copy("sd", "cut-text") / "text_encoder" / "model.safetensors")
    cut(_copy("study", "study") / "study.json")
    cut(_copy("data", "cut-data") / "comparisons.parquet")
    cut(_copy("data", "cut-images") / "images" / "images-00000.parquet")
    cut(next(_copy("data", "cut-scores").glob("scores/*/scores.parquet")))
    cut(_copy("best", "cut-ranked") / "pairs.parquet")
    cut(_copy("cache", "cut-cache") / "images-00000.safetensors")
    cut(_copy("cache", "cut-index") / "cache.json")
    cut(_copy("images/base", "cut-png") / "images.parquet")


def _copy(source: str, name: str) -> Path:
    return Path(shutil.copytree(source, Path("bad") / name))


def cut(path: Path) -> None:
    """Leave the first 400 bytes."""
    path.write_bytes(path.read_bytes()[:400])


def stamps(folder: Path) -> dict[str, int]:
    """Every file and when it changed, but locks and what a training run notes before its first step."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    files = [path for path in files if path.name not in BEGUN and path.parent.name != "tensorboard"]
    return {str(path): path.stat().st_mtime_ns for path in files}


@pytest.mark.parametrize("line", CASES)
def test_one_line_that_names_the_culprit_and_a_way_out(
    line: str, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    shutil.rmtree("new", ignore_errors=True)
    before = stamps(work)
    code = app.main(shlex.split(line))
    said = capsys.readouterr().err
    assert (code, said.count("\n"), said[:12]) == (2, 1, "tastemaker: "), said
    for part in CASES[line]:
        assert part in said
    assert stamps(work) == before


def test_every_verb_has_its_mistakes() -> None:
    assert {shlex.split(line)[0] for line in CASES} >= {*app.VERBS}
