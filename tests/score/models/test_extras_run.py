"""The extras in one run beside each other: the stored numbers are those that each gives when it is asked itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from support import blip, clip_flan, hf_rewards, qwen_reward
from support.datasets import png, sha, write_data
from tastemaker.base.files import sha256_text
from tastemaker.data.comparison import Comparison
from tastemaker.data.images import decode
from tastemaker.score.models.hf_reward import HfReward
from tastemaker.score.models.hpsv3 import Hpsv3
from tastemaker.score.models.imagereward import ImageReward
from tastemaker.score.models.vqascore import VqaScore
from tastemaker.score.runner import read_scores, score_all


def test_one_run_of_all(tmp_path: Path) -> None:
    rows = [("a red cat", 1, 2), ("a blue dog on the sea", 2, 3), ("a red cat", 1, 3)]
    compared = [Comparison(f"pair-{n}", prompt, sha(a), sha(b), "a") for n, (prompt, a, b) in enumerate(rows)]
    data = write_data(tmp_path / "data", compared, [png(1), png(2), png(3)])
    for save, name in ((clip_flan.save_tiny, "vqa"), (qwen_reward.save_tiny, "hpsv3"), (blip.save_tiny, "blip")):
        save(tmp_path / name)
    hf_rewards.save_siglip(tmp_path / "hf")
    scorers = [
        ImageReward(str(tmp_path / "blip"), str(tmp_path / "blip" / "bert"), device="cpu"),
        HfReward(str(tmp_path / "hf"), device="cpu"),
        VqaScore(str(tmp_path / "vqa"), str(tmp_path / "vqa" / "flan"), "float32", "cpu"),
        Hpsv3(str(tmp_path / "hpsv3"), str(tmp_path / "hpsv3" / "base"), "float32", "cpu"),
    ]
    summaries = score_all(data, scorers)
    assert [(summary["scored"], summary["quarantined"]) for summary in summaries] == [(5, 0)] * 4
    wanted = sorted({(prompt, number) for prompt, *both in rows for number in both})
    images: list[Image.Image] = [decode(png(number)) for _, number in wanted]
    for scorer in scorers:
        stored = read_scores(data, scorer.id.partition("@")[0])
        raw = [stored[sha(number), sha256_text(prompt)] for prompt, number in wanted]
        np.testing.assert_allclose(raw, scorer.score([prompt for prompt, _ in wanted], images), atol=2e-5)
        assert stored.calibration == scorer.calibration
