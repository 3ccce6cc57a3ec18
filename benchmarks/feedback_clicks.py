"""What the model of `make feedback-demo` learns from a simulated person's clicks, as docs/results/study.md tells it.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/feedback_clicks.py --out out/clicks [--seed 0] [--choices 20]

The demo runs as a process of its own, and the person clicks over HTTP as a browser does: the best of four by the true
utility. Then the base and the trained model draw held-out captions from the same noise, and utility compares them.
A run that is finished is not clicked again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from study.web.process import free_port  # noqa: E402
from tastemaker.base import summary  # noqa: E402
from tastemaker.base.files import read_json  # noqa: E402
from tastemaker.evaluate.evaluation import METRICS, evaluate  # noqa: E402
from tastemaker.evaluate.generating import generate  # noqa: E402
from tastemaker.evaluate.metrics import with_interval  # noqa: E402
from tastemaker.study.client import Client  # noqa: E402
from tastemaker.study.simulated import Honest, answer_all  # noqa: E402
from tastemaker.world import captions  # noqa: E402
from tastemaker.world.assets import BASE_MODEL  # noqa: E402
from tastemaker.world.feedback import STEPS  # noqa: E402
from tastemaker.world.scorer import Utility  # noqa: E402
from tastemaker.world.tasks import EPSILON  # noqa: E402

PASSPHRASE = "taste"
HELD_OUT = 150
FIRST, NEXT = 200.0, 900.0
"""Seconds that the person waits at most, on a busy machine: for the first round, and for one that is learned from."""


def judge(_: str, prompt: str | None, images: list[Image.Image]) -> list[float]:
    """What each image is worth to the person."""
    assert prompt is not None
    utilities: list[float] = Utility().score([prompt] * len(images), images).tolist()
    return utilities


def demo(out: Path, seed: int, choices: int) -> None:
    """The verb behind `make feedback-demo` with a person who clicks; where it fails, its exit code is the program's."""
    port = free_port()
    options = {"--out": out, "--port": port, "--seed": seed, "--choices": choices, "--passphrase": PASSPHRASE}
    words = [sys.executable, "-m", "tastemaker.cli.app", "world", "feedback"]
    words += [str(word) for option in options.items() for word in option]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)  # no terminal: it does not wait for Enter
    Thread(target=click, args=(process, port, seed), daemon=True).start()
    try:
        if code := process.wait():
            sys.exit(code)
    finally:
        process.terminate()
        process.wait()


def click(process: subprocess.Popen[bytes], port: int, seed: int) -> None:
    """Join, and answer round after round until there are no more; without a person the demo would wait for ever."""
    client = Client(f"http://127.0.0.1:{port}", patience=FIRST)
    try:
        client.join("/join", "Ada", PASSPHRASE)
        sent = answer_all(client, Honest(), judge, ("feedback clicks", seed), patience=NEXT)
    except BaseException:
        process.terminate()
        raise
    print(f"{len(sent)} clicks")


def compare(out: Path) -> dict[str, Any]:
    """The trained model against the base on held-out captions."""
    texts = [captions.caption(scene) for scene in captions.draw("test", HELD_OUT, 0)]
    folders = [out / "held-out/base", out / "held-out/trained"]
    for folder, adapter in zip(folders, [None, out / "run"], strict=True):
        generate(BASE_MODEL, texts, folder, adapter=adapter, steps=STEPS, guidance=1.0, batch_size=50)
    evaluate(folders, [Utility()], out / "evaluation", epsilon=EPSILON)
    (versus,) = (row["against_base"] for row in read_json(out / "evaluation" / METRICS)["results"][1:])
    found: dict[str, Any] = versus
    return found


def main() -> None:
    """Click, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the demo, the held-out images and figures")
    parser.add_argument("--seed", type=int, default=0, help="of sampling and training")
    parser.add_argument("--choices", type=int, default=20, help="clicks a round")
    asked = parser.parse_args()
    if not (asked.out / "run" / summary.NAME).exists():
        demo(asked.out, asked.seed, asked.choices)
    found = compare(asked.out)
    print(f"{found['prompts']} held-out captions, trained against base, 95 %:")
    print(f"utility  {with_interval(found, 'mean_difference', '+.3f')}")
    print(f"win rate {with_interval(found, 'win_rate', '.3f')}")


if __name__ == "__main__":
    main()
