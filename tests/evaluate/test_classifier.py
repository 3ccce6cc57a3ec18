"""Classifiers by name: specs, our own, and those of other installed packages."""

from __future__ import annotations

import io
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tastemaker.base.errors import UserError
from tastemaker.evaluate.classifier import build, parse
from tastemaker.evaluate.inception_v3 import InceptionV3
from tastemaker.evaluate.safety import build_safety

MODULE = '''
import numpy as np

class Wide:
    """Whether an image is wider than high."""
    def __init__(self, sure: float = 1.0):
        self.sure, self.id, self.classes = sure, f"wide@{sure:g}", ("high", "wide")
    def logits(self, images):
        return np.array([[0, self.sure if image.width > image.height else -self.sure] for image in images], np.float32)

class Dumb:
    id, classes = "dumb@1", ()
'''
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with these entry points, as pip lays it out; it ends with the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def package(*lines: str) -> None:
        (tmp_path / "wide_classes.py").write_text(MODULE)
        info = tmp_path / "wide_classes-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wide-classes\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[tastemaker.classifiers]", *lines, ""]))
        monkeypatch.delitem(sys.modules, "wide_classes", raising=False)

    return package


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random ViT and its processor, saved by transformers itself."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    names = {0: "safe", 1: "nsfw", 2: "gore"}
    config = ViTConfig(**sizes, image_size=8, patch_size=4, id2label=names, label2id={v: k for k, v in names.items()})
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(folder)
    return folder


def pictures(count: int = 3, size: tuple[int, int] = (12, 10)) -> list[Image.Image]:
    generator = np.random.default_rng(0)
    shape = (*size[::-1], 3)
    return [Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)) for _ in range(count)]


def test_specs() -> None:
    assert parse("inception") == ("inception", {})
    assert parse("hf-classifier:checkpoint=a/b@main, unsafe=nsfw+gore ,threshold=0.4") == (
        "hf-classifier",
        {"checkpoint": "a/b@main", "unsafe": "nsfw+gore", "threshold": "0.4"},
    )
    for spec, message in (
        ("x:", "'' is not an option"),
        ("x:nsfw", "'nsfw' is not an option"),
        ("x:a=", "'a=' is not an option"),
        ("x:=1", "'=1' is not an option"),
        ("x:a=1,a=2", "option 'a' stands there twice"),
    ):
        with pytest.raises(UserError, match=message):
            parse(spec)


def test_hf_classifier_is_transformers_own(vit: Path) -> None:
    """Logits of the model itself on the pixels of its processor; a row does not depend on its batch."""
    from transformers import ViTForImageClassification, ViTImageProcessor

    classifier, shown = build("hf-classifier", {"checkpoint": str(vit)}), pictures()
    found = classifier.logits(shown)
    pixels = ViTImageProcessor.from_pretrained(vit)(images=shown, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        own = ViTForImageClassification.from_pretrained(vit)(pixel_values=pixels).logits.numpy()
    np.testing.assert_allclose(found, own, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(classifier.logits(shown[1:2]), found[1:2], rtol=1e-4, atol=1e-5)
    assert tuple(classifier.classes) == ("safe", "nsfw", "gore")
    assert classifier.id.startswith("hf-classifier@")
    assert build("hf-classifier", {"checkpoint": str(vit), "dtype": "bfloat16"}).id == f"{classifier.id}-bfloat16"


def test_safety_of_a_checkpoint(vit: Path) -> None:
    safety = build_safety(f"hf-classifier:checkpoint={vit},unsafe=nsfw+gore,threshold=0.25")
    assert (safety.unsafe, safety.threshold) == (("nsfw", "gore"), 0.25)
    p = np.exp(safety.classifier.logits(pictures()).astype(float))
    share = p[:, 1:].sum(1) / p.sum(1)
    assert safety.unsafe_images(np.log(p)).tolist() == (share > 0.25).tolist()


def test_hf_classifier_refuses_what_is_none(vit: Path, tmp_path: Path) -> None:
    import shutil

    for name, damage, message in (
        ("processor", lambda folder: (folder / "preprocessor_config.json").unlink(), "has no preprocessor_config.json"),
        ("weights", lambda folder: (folder / "model.safetensors").unlink(), "no weights there"),
        ("config", lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        ("other", _of_another_kind, "transformers loads no image classifier there"),
    ):
        folder = Path(shutil.copytree(vit, tmp_path / name))
        damage(folder)
        with pytest.raises(UserError, match=message) as error:
            build("hf-classifier", {"checkpoint": str(folder)}).logits(pictures())
        assert "\n" not in str(error.value)
    for options, message in (
        ({}, "which model.*say hf-classifier:checkpoint=FOLDER"),
        ({"checkpoint": "nowhere"}, "nowhere: no such file or folder"),
        ({"checkpoint": str(vit), "dtype": "int8"}, "dtype=int8"),
        ({"chekpoint": str(vit)}, "option 'chekpoint' is unknown, did you mean 'checkpoint'"),
    ):
        with pytest.raises(UserError, match=message):
            _ = build("hf-classifier", options).id


def _of_another_kind(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2", "architectures": ["GPT2Model"]}))


def test_weights_that_lack_the_head_are_refused(vit: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(vit, tmp_path / "headless"))
    state = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"missing classifier\.bias \(2 such\)"):
        build("hf-classifier", {"checkpoint": str(folder)}).logits(pictures())


def test_a_classifier_of_another_package(install: Install) -> None:
    install("wide = wide_classes:Wide")
    classifier = build("wide", {"sure": "2.5"})
    assert classifier.logits(pictures(1)).tolist() == [[0, 2.5]]
    assert classifier.id == "wide@2.5"
    with pytest.raises(UserError, match="sure=very: Input should be a valid number"):
        build("wide", {"sure": "very"})


@pytest.mark.parametrize(
    ("line", "name", "message"),
    [
        ("inception = wide_classes:Wide", "inception", "package wide-classes: its classifier 'inception' has the name"),
        ("dumb = wide_classes:Dumb", "dumb", "wide_classes:Dumb has no logits; it needs id, classes, logits"),
        ("gone = wide_classes:Gone", "gone", "wide_classes:Gone cannot be imported"),
        ("wide = wide_classes:Wide", "wid", "classifier 'wid' is unknown, did you mean 'wide'"),
    ],
)
def test_bad_classifiers_are_refused(install: Install, line: str, name: str, message: str) -> None:
    install(line)
    with pytest.raises(UserError, match=message):
        build(name, {})


class FakeNetwork(torch.nn.Module):
    """The interface of torch-fidelity's network: uint8 in, a tuple out, weights by ``torch.load``."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: io.BytesIO) -> None:
        super().__init__()
        assert (name, features_list) == ("inception", ["logits_unbiased"])
        self.fc = torch.nn.Linear(3, 1008)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        assert x.dtype == torch.uint8
        return (x.float().mean((2, 3)) @ self.fc.weight.T,)


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = FakeNetwork  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_inception_gives_torch_fidelity_whole_bytes(fidelity: None, tmp_path: Path) -> None:
    """Images of several sizes in one batch, each row where it belongs; weights pass through `weights_only`."""
    weight = torch.randn(1008, 3, generator=torch.Generator().manual_seed(0))
    torch.save({"fc.weight": weight, "fc.bias": torch.zeros(1008)}, tmp_path / "w.pth")
    classifier = InceptionV3(str(tmp_path / "w.pth"))
    shown = [*pictures(2), *pictures(1, (5, 7)), *pictures(1)]
    means = np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in shown])
    np.testing.assert_allclose(classifier.logits(shown), means @ weight.numpy().T, rtol=1e-4, atol=1e-3)
    assert len(classifier.classes) == 1008
    torch.save({"fc.weight": weight}, tmp_path / "cut.pth")
    with pytest.raises(UserError, match=r"cut.pth: no weights of torch-fidelity's Inception"):
        InceptionV3(str(tmp_path / "cut.pth")).logits(shown)


def test_inception_without_torch_fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    torch.save({"fc.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="install torch-fidelity, or use hf-classifier"):
        InceptionV3(str(tmp_path / "other.pth")).logits(pictures())
    with pytest.raises(UserError, match=r"checkpoint=none.pth: no such file"):
        InceptionV3("none.pth")
