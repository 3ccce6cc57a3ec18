"""generate, evaluate and report as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tastemaker.cli.app import main

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from models import save_tiny_sd


def test_from_prompts_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save_tiny_sd(tmp_path / "sd")
    (tmp_path / "prompts.txt").write_text("a red square\na blue circle\na green cross\n")
    for name, scheduler in (("base", "ddim"), ("tuned", "own")):
        command = ["generate", "--model", str(model), "--prompts", str(tmp_path / "prompts.txt"), "--steps", "2"]
        assert main([*command, "--scheduler", scheduler, "--out", str(tmp_path / name)]) == 0
    images = [str(tmp_path / "base"), str(tmp_path / "tuned")]
    out = str(tmp_path / "eval")
    capsys.readouterr()
    assert main(["evaluate", *images, "--scorer", "jpeg-size", "--epsilon", "jpeg-size", "1", "--out", out]) == 0
    shown = capsys.readouterr().out
    assert "| win rate (95%) |" in shown
    assert (tmp_path / "eval/table.md").read_text() in shown
    versus = json.loads((tmp_path / "eval/metrics.json").read_text())["results"][1]["against_base"]
    assert (versus["prompts"], versus["epsilon"]) == (3, 1.0)
    page = tmp_path / "report.html"
    assert main(["report", "--out", str(page), "--eval", out, "--images", *images]) == 0
    assert "<h2" in page.read_text()


def test_mistakes_are_one_line_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.txt").write_text("a cat")
    base = ["generate", "--prompts", str(tmp_path / "p.txt"), "--out", str(tmp_path / "out")]
    assert main([*base, "--model", str(tmp_path / "none")]) == 2
    assert main([*base, "--model", str(tmp_path), "--steps", "0"]) == 2
    assert main(["report", "--out", str(tmp_path / "r.html")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("tastemaker: ") for line in lines)


@pytest.mark.parametrize("verb", ["generate", "evaluate", "report"])
def test_help_loads_nothing_heavy(verb: str) -> None:
    code = (
        "import sys; from tastemaker.cli.app import main\n"
        f"code = main(['{verb}', '--help'])\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'pyarrow', 'matplotlib', 'numpy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout
