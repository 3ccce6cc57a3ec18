"""What ships with the package: small, readable in silence, and as good as docs/world.md says."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tastemaker.backbone.load import load
from tastemaker.world.assets import ASSETS, BASE_MODEL, COMPARISONS, unpack
from tastemaker.world.captions import parse, split_of
from tastemaker.world.pretrain import worth
from tastemaker.world.sample import PARQUET, TRUTH

NO_TORCHVISION = "requires torchvision (not installed)"
"""What transformers says of any machine without torchvision, whatever the model."""
LOUD = """
import logging, sys, warnings
warnings.simplefilter("error")
logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
from transformers.utils.logging import enable_propagation
enable_propagation()  # transformers itself does so where the variable CI is set
from diffusers import DiffusionPipeline
from diffusers.utils import logging as chatter
chatter.disable_progress_bar()
chatter.add_handler(logging.StreamHandler(sys.stdout))
pipe = DiffusionPipeline.from_pretrained(sys.argv[1])
print(type(pipe).__name__, sorted(str(p.dtype) for p in (pipe.unet, pipe.vae, pipe.text_encoder))[0])
"""


def megabytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def test_sizes():
    assert megabytes(BASE_MODEL) < 12
    assert megabytes(COMPARISONS) < 6
    assert megabytes(ASSETS) < 18


def test_weights_are_safetensors_alone():
    kinds = {path.suffix for path in ASSETS.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".txt", ".parquet", ".yaml"}


def test_diffusers_loads_the_base_model_without_a_warning():
    done = subprocess.run([sys.executable, "-c", LOUD, str(BASE_MODEL)], capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if NO_TORCHVISION not in line]
    assert said == ["StableDiffusionPipeline torch.float32"]
    assert "expected" not in done.stderr.lower()


def test_the_base_model_reaches_what_is_asked_of_it():
    """Mean utility on 300 held-out captions at least 0.8 of what the autoencoder makes of true renders."""
    found = worth(load(BASE_MODEL).pipeline(), 300)
    assert found["utility_model"] >= 0.8 * found["utility_reconstruction"]
    assert found["utility_reconstruction"] == pytest.approx(found["utility_true"], abs=0.02)
    assert 0.4 < found["correct_model"] < 0.6  # room for alignment


def test_about_a_third_of_the_judgements_is_wrong_and_captions_are_of_the_train_split():
    wrong = pq.read_table(COMPARISONS / TRUTH, columns=["wrong"])["wrong"].to_pylist()
    prompts = pq.read_table(COMPARISONS / PARQUET, columns=["caption"])["caption"].to_pylist()
    assert len(wrong) == len(prompts) == len(set(prompts)) == 3000
    assert 0.3 < sum(wrong) / len(wrong) < 0.37
    assert {split_of(parse(prompt)) for prompt in prompts} == {"train"}


def test_unpack_copies_everything_once(tmp_path):
    done = unpack(tmp_path / "world")
    assert (tmp_path / "world/model/model_index.json").is_file()
    assert (tmp_path / "world/comparisons" / PARQUET).is_file()
    assert (tmp_path / "world/recipe.yaml").is_file()
    assert (tmp_path / "world/d3po.yaml").is_file()
    assert unpack(tmp_path / "world") == done
