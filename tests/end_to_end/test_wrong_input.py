"""Mistakes that people make, by verb: one line that names the culprit and a way out, exit code 2, nothing written."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from support.models import save_tiny_sd
from support.pictures import write_noise_pairs
from tastemaker.cli import app

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "--model sd --adapter.rank 2 --train.batch_size 2 --train.accumulate 1 --train.sample_every 0 --data.max_pairs 2"
)
RECIPE = f"recipes/sd15/qsd-dpo.yaml {SMALL} --data.pairs best --data.cache cache"
D3PO = (
    "recipes/sd15/d3po-compressibility.yaml --model sd --rollout.prompts prompts.txt --adapter.rank 2 "
    "--train.sample_every 0 --dtype float32"
)
ENCODE = "encode best --data data --out new"
GENERATE = "generate --prompts prompts.txt --steps 1 --out new"
EVALUATE = "evaluate images/base images/tuned --out new --scorer jpeg-size"
MODELS = "bad/noindex", "bad/cut-unet", "bad/cut-text", "bad/no-vae", "bad/list-index", "bad/flux"

CASES: dict[str, tuple[str, str]] = {
    # the command line itself
    "nonsense": ("'nonsense'", "known: import, score"),
    "trian recipes/sd15/qsd-dpo.yaml": ("'trian'", "did you mean 'train'?"),
    "doctor --all": ("--all", "see tastemaker doctor --help"),
    # import
    "import nowhere --out new": ("nowhere", "give a file, a folder or a hub id"),
    "import owner/name --out new": ("owner/name", "download it yourself"),
    "import bad/text.parquet --out new": ("bad/text.parquet", "download it again"),
    "import bad/cut.parquet --out new": ("bad/cut.parquet", "download it again"),
    "import bad/x.zip --out new": ("bad/x.zip", "not a whole Parquet file"),
    "import bad/empty --out new": ("bad/empty", "name one with --format"),
    "import bad/empty.jsonl --out new": ("bad/empty.jsonl", "has no rows"),
    "import bad/columns.jsonl --out new": ("bad/columns.jsonl", "needs the fields of one of: prompt, chosen, rejected"),
    "import pick --split test --out new": ("'test'", "found train"),
    "import pick --limit 0 --out new": ("--limit 0", "at least one"),
    "import pick --limit many --out new": ("'many'", "see tastemaker import --help"),
    "import pick --fromat folder --out new": ("--fromat", "did you mean '--format'?"),
    "import pick --format zip --out new": ("'zip'", "'pickapic'"),
    "import pick --format verdicts --out new": ("pick: no images in liked or disliked", ""),
    "import pick": ("--out", "see tastemaker import --help"),
    "import --out new": ("SOURCE", "see tastemaker import --help"),
    "import pick --out pick/inside": ("pick/inside", "choose a folder beside it"),
    "import pick --out bad/file": ("bad/file: cannot be written (a file is in the way)", "choose another folder"),
    "import pick --out bad/file/below": ("bad/file/below", "choose another folder"),
    "import pick --out /proc/new": ("/proc/new: cannot be written", "choose another folder"),
    "import pick --out best": ("best", "choose another --out"),
    # score
    "score nowhere --scorer jpeg-size": ("nowhere/comparisons.parquet", "tastemaker import"),
    "score bad/file --scorer jpeg-size": ("bad/file/comparisons.parquet", "tastemaker import"),
    "score data --scorer jpegsize": ("'jpegsize'", "did you mean 'jpeg-size'?"),
    "score data --scorer jpeg-size:qualty=3": ("'qualty'", "did you mean 'quality'?"),
    "score data --scorer jpeg-size:quality=high": ("quality=high", "valid integer"),
    "score data --scorer jpeg-size:quality=900": ("quality=900", "from 1 to 100"),
    "score data --scorer jpeg-size --batch-size 0": ("--batch-size 0", "at least 1"),
    "score data": ("--scorer", "see tastemaker score --help"),
    "score data --scorer": ("--scorer", "give at least one"),
    "score data --scorer jpeg-size jpeg-size": ("jpeg-size@q95", "stands there twice"),
    "score data --scorer jpeg-size --workers 0": ("--workers 0", "at least 1"),
    "score data --scorer jpeg-size --price -1": ("--price -1", "0 or more"),
    "score data --scorer jpeg-size --executor dask": ("'dask'", "'torchrun'"),
    "score data --scorer jpeg-size --executor torchrun": ("--executor torchrun", "start it with torchrun"),
    "score data --scorer hpsv2.1:checkpoint=nowhere": ("nowhere", "give a path or a hub id"),
    "score data --scorer pickscore:checkpoint=bad/empty": ("bad/empty", "config.json"),
    "score data --scorer clip:dtype=float8": ("dtype=float8", "'float32'"),
    "score data --scorer aesthetic:checkpoint=nowhere": ("aesthetic: nowhere", "give a path or a hub id"),
    "score bad/cut-data --scorer jpeg-size:quality=80": ("bad/cut-data/comparisons.parquet", "import the data again"),
    "score bad/cut-images --scorer jpeg-size:quality=80": ("images-00000.parquet", "import the data again"),
    # rank
    "rank nowhere --scorer jpeg-size --out new": ("nowhere", "tastemaker score nowhere --scorer jpeg-size"),
    "rank bad/unscored --scorer jpeg-size --out new": ("'jpeg-size'", "tastemaker score bad/unscored"),
    "rank bad/cut-scores --scorer jpeg-size --out new": ("scores.parquet", "score again"),
    "rank bad/cut-data --scorer jpeg-size --out new": ("comparisons.parquet", "import again"),
    "rank data --scorer jpeg-size --fraction 0.3 --count 3 --out new": ("--fraction and --count", "give one of them"),
    "rank data --scorer jpeg-size --fraction 30 --out new": ("--fraction 30", "at most 1"),
    "rank data --scorer jpeg-size --count 1000 --out new": ("--count 1000", "ask for at most that"),
    "rank data --scorer jpeg-size --count ten --out new": ("'ten'", "see tastemaker rank --help"),
    "rank data --scorer jpeg-size --only loved --out new": ("'loved'", "'liked'"),
    "rank data --scorer jpeg-size --only liked --out new": ("--only liked: there is none among", "single images"),
    "rank data --scorer jpeg-size --calibration foo --out new": ("'foo'", "say identity, range"),
    "rank data --scorer jpeg-size --count 2 --out bad/file": ("bad/file", "choose another folder"),
    "rank data --scorer jpeg-size --count 2 --out best": ("best", "choose another --out"),
    "rank data --scorer jpeg-size --threshold elbow --out new": ("'elbow'", "'knee'"),
    "rank data --scorer jpeg-size --fraction 0.3 --threshold knee --out new": ("--threshold", "give one of them"),
    "rank data --scorer jpeg-size --max-wrong-rate 5 --out new": ("--max-wrong-rate 5", "below 1"),
    "rank data --scorer jpeg-size --combine mean --out new": ("--combine", "name more after --scorer"),
    "rank data --scorer jpeg-size --weight jpeg-size --out new": ("--weight jpeg-size", "such as hpsv2=2"),
    "rank data --scorer jpeg-size --holdout nowhere.txt --out new": ("nowhere.txt", "give a file of prompts"),
    "rank data --scorer jpeg-size --drop-near-duplicates 64 --out new": ("--drop-near-duplicates 64", "try 4"),
    "rank data --scorer jpeg-size --relabel-margin 0.1 --out new": ("--relabel-margin", "give --relabel"),
    "rank data --out new": ("--scorer", "see tastemaker rank --help"),
    # subset
    "subset nowhere --data data --out new": ("nowhere/pairs.parquet", "tastemaker rank"),
    "subset bad/cut-ranked --data data --out new": ("bad/cut-ranked/pairs.parquet", "rank again"),
    "subset best --data nowhere --out new": ("nowhere/comparisons.parquet", "tastemaker import"),
    "subset best --data bad/cut-data --out new": ("bad/cut-data/comparisons.parquet", "import the data again"),
    "subset best --data bad/cut-images --out new": ("images-00000.parquet", "import the data again"),
    "subset best --data data --out new --format zip": ("'zip'", "'preference'"),
    "subset best --data data --out bad/file": ("bad/file", "choose another folder"),
    "subset best --data data --out best": ("best", "choose another --out"),
    "subset best --data data": ("--out", "see tastemaker subset --help"),
    # encode
    "encode --data data --model sd --out new": ("no pairs given", "tastemaker rank"),
    "encode nowhere --data data --model sd --out new": ("nowhere/pairs.parquet", "tastemaker rank"),
    "encode bad/cut-ranked --data data --model sd --out new": ("bad/cut-ranked/pairs.parquet", "rank again"),
    "encode best --data nowhere --model sd --out new": ("nowhere/images", "tastemaker import"),
    f"{ENCODE} --model nowhere": ("nowhere", "give a diffusers folder or a hub id"),
    f"{ENCODE} --model owner/name": ("owner/name", "no such folder"),
    **{f"{ENCODE} --model {model}": (model, "") for model in MODELS},
    f"{ENCODE} --model sd --resolution 30": ("resolution 30", "multiple of 4"),
    f"{ENCODE} --model sd --buckets --resolution 36": ("--buckets: resolution 36", "give --resolution"),
    f"{ENCODE} --model sd --batch-size 0": ("--batch-size 0", "at least 1"),
    f"{ENCODE} --model sd --device tpu9": ("device tpu9", "give auto or cpu"),
    "encode best --data data --model sd --out bad/file": ("bad/file", "choose another folder"),
    # check
    "check nowhere.yaml": ("nowhere.yaml: no such file", ""),
    "check bad/betta.yaml": ("bad/betta.yaml: method.link.betta", "did you mean 'beta'?"),
    "check bad/list.yaml": ("bad/list.yaml", "a mapping"),
    "check bad/open.yaml": ("bad/open.yaml:2", "expected"),
    "check recipes/sd15/qsd-dpo.yaml": ("out/pickapic/best/pairs.parquet", "tastemaker rank"),
    f"check {RECIPE} --train.lr fast": ("train.lr: 'fast'", "valid number"),
    f"check {RECIPE} --data.pairs bad/cut-ranked": ("bad/cut-ranked/pairs.parquet", "rank again"),
    f"check {RECIPE} --data.cache bad/cut-index": ("bad/cut-index/cache.json", "make it again"),
    f"check {RECIPE} --data.cache bad/no-index": ("bad/no-index/cache.json: lacks model", "tastemaker encode"),
    f"check {RECIPE} --model bad/cut-unet": ("diffusion_pytorch_model.safetensors", "download the model again"),
    # train
    "train bad/betta.yaml": ("bad/betta.yaml: method.link.betta", "did you mean 'beta'?"),
    f"train {D3PO}": ("d3po-compressibility.yaml: a recipe of tastemaker d3po", "not of tastemaker train"),
    # d3po
    "d3po nowhere.yaml": ("nowhere.yaml: no such file", ""),
    f"d3po {RECIPE}": ("qsd-dpo.yaml: a recipe of tastemaker train", "not of tastemaker d3po"),
    f"d3po {D3PO} --rollout.prompts nowhere.txt": ("rollout.prompts: nowhere.txt", "one prompt a line"),
    f"d3po {D3PO} --model nowhere": ("nowhere", "give a diffusers"),
    f"d3po {D3PO} --rollout.steps 5000": ("rollout.steps: 5000", "give at most that"),
    f"d3po {D3PO} --rollout.resolution 30": ("resolution 30", "multiple of 4"),
    f"d3po {D3PO} --feedback.scorers [jpg-size]": ("'jpg-size'", "did you mean 'jpeg-size'?"),
    f"d3po {D3PO} --feedback.kind vote": ("feedback.kind: 'vote'", "known: scorer"),
    f"d3po {D3PO} --out bad/file": ("bad/file", "choose another folder"),
    # train
    f"train {RECIPE} --out new --train.lr": ("--train.lr", "needs a value"),
    f"train {RECIPE} --out new --train.lr -1": ("train.lr: -1", "greater than 0"),
    f"train {RECIPE} --out new --method.evidence.reference none": ("evidence.reference", "set it to 'base'"),
    f"train {RECIPE} --out new --adapter.kind full": ("adapter.rank: unknown field where kind: full", "known: kind"),
    f"train {RECIPE} --out new --adapter.targets [no_layer]": ("no_layer", "no such layers"),
    f"train {RECIPE} --out new --data.pairs nowhere": ("nowhere/pairs.parquet", "tastemaker rank"),
    f"train {RECIPE} --out new --data.pairs []": ("data.pairs: names no folder", "tastemaker rank"),
    f"train {RECIPE} --out new --data.pairs '[{{pairs: best, weight: 0}}]'": ("pairs.0.weight: 0", "greater than"),
    f"train {RECIPE} --out new --data.pairs '[{{pairs: best}}, {{pairs: best}}]'": ("best stands there twice", "once"),
    f"train {RECIPE} --out new --data.cache nowhere": ("nowhere/cache.json", "tastemaker encode"),
    f"train {RECIPE} --out new --data.cache bad/no-index": ("bad/no-index/cache.json", "tastemaker encode"),
    f"train {RECIPE} --out new --data.cache bad/cut-cache": ("images-00000.safetensors", "encode again"),
    f"train {RECIPE} --out new --model bad/noindex": ("bad/noindex", "model_index.json"),
    f"train {RECIPE} --out new --model bad/cut-unet": ("encoded by sd, not by bad/cut-unet", "tastemaker encode"),
    f"train {RECIPE} --out new --train.device cuda:99": ("device cuda:99", "give auto or cpu"),
    f"train {RECIPE} --out bad/file": ("bad/file", "choose another folder"),
    f"train {RECIPE} --out new --adapter.start nowhere --adapter.rank null": ("nowhere", "LoRA weights"),
    f"train {RECIPE} --out new --adapter.on bad/file": ("bad/file", "give the folder or the .safetensors file"),
    # export
    "export nowhere --out new": ("nowhere: no recipe.yaml here", "tastemaker train"),
    "export sd --out new": ("sd: no recipe.yaml here", "tastemaker train"),
    "export sd --out new --format zip": ("'zip'", "'kohya'"),
    "export sd": ("--out", "see tastemaker export --help"),
    # generate
    f"{GENERATE} --model nowhere": ("nowhere", "give a diffusers folder or a hub id"),
    **{f"{GENERATE} --model {model}": (model, "") for model in MODELS},
    "generate --model sd --prompts nowhere.txt --out new": ("nowhere.txt", "give a file of prompts"),
    "generate --model sd --prompts bad/x.zip --out new": ("bad/x.zip", "give .txt"),
    "generate --model sd --prompts bad/blank.txt --out new": ("bad/blank.txt", "holds no prompt"),
    "generate --model sd --prompts bad/latin.txt --out new": ("bad/latin.txt: byte 3", "save the file as UTF-8"),
    f"{GENERATE} --model sd --adapter nowhere": ("nowhere", "give a LoRA file"),
    f"{GENERATE} --model sd --adapter bad/lora.safetensors": ("bad/lora.safetensors", "not LoRA weights"),
    "generate --model sd --prompts prompts.txt --steps 5000 --out new": ("5000", "give at most that"),
    f"{GENERATE} --model sd --resolution 33": ("resolution 33", "multiple of 4"),
    f"{GENERATE} --model sd --batch-size 0": ("--batch-size 0", "at least 1"),
    f"{GENERATE} --model sd --dtype int8": ("'int8'", "'float32'"),
    "generate --model sd --prompts prompts.txt --out bad/file": ("bad/file", "choose another folder"),
    "generate --model sd --prompts prompts.txt --steps 3 --out images/base": ("steps 1, not 3", "choose another --out"),
    # evaluate
    "evaluate --scorer jpeg-size --out new": ("no images given", "tastemaker generate"),
    "evaluate nowhere images/base --scorer jpeg-size --out new": ("nowhere/images.parquet", "make it first"),
    "evaluate images/base bad/file --scorer jpeg-size --out new": ("bad/file/settings.json", "make it first"),
    "evaluate images/base bad/cut-png --scorer jpeg-size --out new": ("bad/cut-png/images.parquet", "make it again"),
    "evaluate images/base images/other --scorer jpeg-size --out new": ("images/other: image 1", "the same --prompts"),
    "evaluate images/base images/base --scorer jpeg-size --out new": ("'base'", "--names"),
    "evaluate images/base images/tuned --scorer nonsense --out new": ("'nonsense'", "known: aesthetic"),
    "evaluate images/base images/tuned --scorer world-utility --out new": ("'a cat'", "an example is"),
    f"{EVALUATE} --epsilon other 1": ("--epsilon other", "give one of jpeg-size"),
    f"{EVALUATE} --epsilon jpeg-size": ("--epsilon", "see tastemaker evaluate --help"),
    f"{EVALUATE} --epsilon jpeg-size -1": ("--epsilon jpeg-size -1", "cannot be negative"),
    f"{EVALUATE} --confidence 95": ("--confidence 95", "such as 0.95"),
    f"{EVALUATE} --batch-size 0": ("--batch-size 0", "at least 1"),
    "evaluate images/base images/tuned --scorer jpeg-size --out bad/file": ("bad/file", "choose another folder"),
    # report
    "report --out new/r.html --ranked best --data bad/cut-scores": ("scores.parquet", "score again"),
    "report --out new/r.html --data data": ("nothing to report", "--ranked, --eval"),
    "report --out new/r.html": ("nothing to report", "--ranked, --eval"),
    "report --out new/r.pdf --ranked best": ("new/r.pdf", "must end in .html"),
    "report --out new/r.html --eval nowhere": ("nowhere/metrics.json", "make it first"),
    "report --out new/r.html --ranked bad/cut-ranked": ("bad/cut-ranked/pairs.parquet", "make it again"),
    "report --out new/r.html --ranked best --data nowhere": ("nowhere/images", "tastemaker import"),
    "report --out new/r.html --runs nowhere": ("nowhere/metrics.jsonl", "tastemaker train"),
    "report --out new/r.html --images images/base images/other": ("images/other", "the same --prompts"),
    "report --out bad/file/r.html --ranked best": ("bad/file", "choose another folder"),
    # credit
    "credit --out new/c.html": ("nothing to show", "--runs"),
    "credit recipes/sd15/dde.yaml --out new/c.pdf": ("new/c.pdf", "must end in .html"),
    "credit recipes/sd15/dde.yaml --out new/c.html": ("not on this machine", "--model"),
    "credit recipes/sd15/ddee.yaml --out new/c.html": ("recipes/sd15/ddee.yaml", "did you mean 'dde.yaml'"),
    "credit --runs nowhere --out new/c.html": ("nowhere/memory.safetensors", "tastemaker train"),
    # demo and world
    "world contest --out new/w --entrants dpoo": ("dpoo: no such entrant", "sft, uniform"),
    "demo --out bad/file": ("bad/file", "choose another folder"),
    "demo --shrot": ("--shrot", "did you mean '--short'?"),
    "world nonsense": ("'world nonsense'", "known: unpack"),
    "world sample --out new --model nowhere": ("nowhere", "give a diffusers folder"),
    "world sample --out new --model bad/cut-unet --pairs 2": ("bad/cut-unet", "save it again"),
    "world sample --out new --model sd --pairs -3": ("-3 captions", "at least 1"),
    "world sample --out new --model sd --flips 2": ("flips=2.0", "between 0 and 1"),
    "world captions --out new/x.txt --count 0": ("0 captions", "at least 1"),
    "world captions --out new/x.txt --split dev": ("'dev'", "'test'"),
    "world captions --out bad/file/x.txt": ("bad/file", "choose another folder"),
    "world measure --comparisons nowhere": ("nowhere/pickapic", "make it first"),
    "world unpack --out bad/empty": ("bad/empty", "choose another --out"),
    "world pretrain --out new --steps 0": ("--steps 0", "at least 1"),
    "world scorer --out bad/file": ("bad/file", "choose another folder"),
}  # fmt: skip
"""Command line → what the message must say: the culprit, and the way out."""
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
