"""The pages' commands, run one after the other as they stand, on stand-ins that fit into a test."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.clip import save_open_clip, save_transformers
from support.documents import commands, section
from support.models import save_tiny_sd
from support.pictures import write_noise_pairs
from tastemaker.base.summary import NAME as SUMMARY
from tastemaker.cli import app

ROOT = Path(__file__).resolve().parents[2]
FEW_STEPS = ("--train.batch_size", "2", "--train.accumulate", "2", "--train.sample_steps", "2", "--train.sample_every")
WRITES = {
    "import": ("comparisons.parquet", "images/images-00000.parquet", "quarantine.jsonl", SUMMARY),
    "score": ("scores/*/scores.parquet", f"scores/*/{SUMMARY}"),
    "rank": ("pairs.parquet", "discarded.parquet", SUMMARY),
    "encode": ("cache.json", "images-00000.safetensors", "prompts-00000.safetensors", SUMMARY),
    "train": (
        "recipe.yaml", "metrics.jsonl", "timing.jsonl", "tensorboard/*", "checkpoints/step-*",
        "pytorch_lora_weights.safetensors", "README.md", SUMMARY,
    ),
    "generate": ("images.parquet", "settings.json", "grid.png", SUMMARY),
    "evaluate": ("metrics.json", "scores.parquet", "table.md", SUMMARY),
    "world unpack": ("model/model_index.json", "comparisons/pickapic/*.parquet", "recipe.yaml", SUMMARY),
}  # fmt: skip
"""Verb → what docs/architecture.md says that it writes."""
MADE_AGAIN = ("report", "world captions")
"""Verbs of a moment, which do not look for their earlier output."""


@dataclass(frozen=True)
class Page:
    """A page, or a section of it, and what stands in for what a test cannot have."""

    path: str
    run: str
    """Folder of the trained run."""
    heading: str = ""
    instead: dict[str, str] = field(default_factory=dict)
    """Word → the word that stands in for it."""
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Verb → arguments that make it small; those of train also go to check."""
    prepare: Callable[[], object] = lambda: None
    """Makes the stand-ins in the current folder."""

    def calls(self) -> list[list[str]]:
        """The arguments of each documented `tastemaker`, in order."""
        text = (ROOT / self.path).read_text(encoding="utf-8")
        text = section(text, self.heading) if self.heading else text
        found = [words[1:] for words in commands(text) if words[0] == "tastemaker"]
        return [[self.instead.get(word, word) for word in words] + [*self.more.get(words[0], ())] for words in found]


def prepare_readme() -> None:
    shutil.copytree(ROOT / "recipes", "recipes")
    write_noise_pairs(Path("pickapic"))
    save_tiny_sd(Path("sd15"))
    save_open_clip(Path("hps"), "HPS_v2.1_compressed.pt")
    save_transformers(Path("clip"))
    Path("prompts.txt").write_text("a red fox\n雪の中の猫 🐈\na red fox\n", encoding="utf-8")


SMALLER = ("--model", "sd15", "--adapter.rank", "2", "--train.checkpoint_every", "2", *FEW_STEPS, "2")
README = Page(
    path="README.md",
    heading="With your own data and model",
    run="out/runs/sd15-qsd-dpo",
    instead={
        "yuvalkirstain/pickapic_v2": "pickapic",
        "stable-diffusion-v1-5/stable-diffusion-v1-5": "sd15",
        "51200": "12",
        "pickscore": "pickscore:checkpoint=clip,tokenizer=clip",
        "hpsv2.1": "hpsv2.1:checkpoint=hps,tokenizer=hps,config=hps/config.json",
        "clip": "clip:checkpoint=clip",
    },
    more={"check": SMALLER, "train": SMALLER, "generate": ("--steps", "2")},
    prepare=prepare_readme,
)
TUTORIAL = Page(
    path="docs/tutorial.md",
    run="out/world/run",
    instead={"100": "4", "20": "2"},
    more=dict.fromkeys(("check", "train"), ("--data.max_pairs", "8", *FEW_STEPS, "0")),
)
PAGES = [README, TUTORIAL]


def name(words: list[str]) -> str:
    return " ".join(words[:2]) if words[0] == "world" else words[0]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def folder(page: Page, words: list[str]) -> Path:
    """Where a command writes."""
    if words[0] == "score":
        return Path(words[1])
    return Path(page.run if words[0] == "train" else option(words, "--out"))


def stamps(place: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in place.rglob("*") if path.name != ".lock" and path.is_file()}


@pytest.fixture
def quiet() -> Iterator[None]:
    """What `app.QUIET` asks of the libraries before they are imported; here other tests may have imported them."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    logs = (diffusers_logging, transformers_logging)
    before = [log.get_verbosity() for log in logs]
    for log in logs:
        log.set_verbosity_error()
    yield
    for log, level in zip(logs, before, strict=True):
        log.set_verbosity(level)


def run(words: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """What a command prints; it ends well, and says nothing on stderr where nobody looks at progress bars."""
    code = app.main(words)
    printed, said = capfd.readouterr()
    assert code == 0, f"{words}: {said}"
    assert said == "", words
    return printed


def documented_and_recognised(page: Page, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """The command leaves the documented files; given again, it shows the same and changes nothing."""
    printed = run(words, capfd)
    assert printed
    for pattern in WRITES.get(name(words), ()):
        assert any(folder(page, words).glob(pattern)), f"{words}: no {pattern}"
    if name(words) in WRITES:
        before = stamps(folder(page, words))
        assert run(words, capfd) == printed
        assert stamps(folder(page, words)) == before, words
    elif words[0] == "report":
        assert folder(page, words).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    else:
        assert name(words) in {*MADE_AGAIN, "doctor", "check"}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_command_of_the_page_does_what_it_says(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page.prepare()
    capfd.readouterr()
    calls = page.calls()
    verbs = [words[0] for words in calls]
    assert {"import", "score", "rank", "encode", "check", "train", "generate", "evaluate", "report"} <= {*verbs}
    for words in calls:
        documented_and_recognised(page, words, capfd)
    last = next(words for words in reversed(calls) if words[0] == "generate")
    assert changed_attention(option(last, "--model"), page.run)
    the_same_from_a_shell(last)


def the_same_from_a_shell(words: list[str]) -> None:
    """Another process draws the same images from the same arguments, and is as quiet."""
    first, again = Path(option(words, "--out")), Path("again")
    words = [str(again) if word == str(first) else word for word in words]
    done = subprocess.run([sys.executable, "-m", "tastemaker.cli.app", *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (again / "images.parquet").read_bytes() == (first / "images.parquet").read_bytes()


def changed_attention(model: str, run: str) -> bool:
    """Whether diffusers puts the trained adapter on: its B matrices began as zeros."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(model, safety_checker=None)
    pipeline.load_lora_weights(run)
    assert len(pipeline.get_active_adapters()) == 1
    return all(weight.any() for key, weight in pipeline.unet.named_parameters() if ".lora_B." in key)
