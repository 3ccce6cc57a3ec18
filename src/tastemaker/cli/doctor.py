"""`tastemaker doctor`: what is wrong with this installation or machine, and the way out."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "FAIL"]
SHOWN = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors", "pyarrow", "numpy", "pillow")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
GIB = 2**30


class Finding(NamedTuple):
    """One line of the report; ``way_out`` says what to do when it is not ok."""

    level: Level
    what: str
    found: str
    way_out: str = ""


def run() -> int:
    """Look for problems of this installation and machine.

    Prints one line a check: ok, warn (works, but slower or not everything) or FAIL, with the way out.
    Exit code 1 when a check fails, else 0.
    """
    findings = list(examine())
    for finding in findings:
        way_out = f" → {finding.way_out}" if finding.way_out else ""
        print(f"{finding.level:<4}  {finding.what:<12}  {finding.found}{way_out}")
    return int(any(finding.level == "FAIL" for finding in findings))


def examine() -> Iterator[Finding]:
    """Every check, in the order of the report."""
    yield python()
    yield from packages()
    yield torchvision()
    yield from machine()
    cache = hub_cache()
    yield disk("disk here", Path.cwd())
    yield disk("model cache", cache)
    yield writable("model cache", cache)
    yield writable("temporary", Path(tempfile.gettempdir()))
    yield browser()


def python() -> Finding:
    """The interpreter; pip sees to it that it is new enough."""
    found = f"{platform.python_version()} ({sys.executable}) on {platform.system()} {platform.machine()}"
    return Finding("ok", "python", found)


def packages() -> Iterator[Finding]:
    """Versions, and a line for every requirement that is missing or of another version than asked for."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires("tastemaker") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("FAIL", "tastemaker", "is not installed", "pip install -c constraints.txt -e .")
        return
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            way_out = "pip install -c constraints.txt -e ."
            yield Finding("FAIL", requirement.name, f"{found or 'missing'}, needs {requirement.specifier}", way_out)
    shown = [f"{name} {_version(name) or 'missing'}" for name in SHOWN]
    yield Finding("ok", "tastemaker", f"{_version('tastemaker')} with {', '.join(shown)}")


def torchvision() -> Finding:
    """Tastemaker does not use torchvision, but diffusers and transformers import it wherever it is installed.

    Built for another torch it fails there with "operator torchvision::nms does not exist".
    """
    version = _version("torchvision")
    if version is None:
        return Finding("ok", "torchvision", "not installed, as it should be")
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        reason = str(error).partition("\n")[0]
        found = f"{version} does not fit torch {_version('torch')} ({reason}), which breaks diffusers and transformers"
        return Finding("FAIL", "torchvision", found, "pip uninstall torchvision (nothing here needs it)")
    found = f"{version} is not needed, and breaks diffusers and transformers when torch changes without it"
    return Finding("warn", "torchvision", found, "pip uninstall torchvision")


def machine() -> Iterator[Finding]:
    """What torch sees of this machine, if it loads at all."""
    try:
        importlib.import_module("torch")
    except Exception as error:
        reason = str(error).partition("\n")[0]
        yield Finding(
            "FAIL", "torch", f"does not load ({reason})", "pip install --force-reinstall -c constraints.txt torch"
        )
        return
    yield processor()
    yield accelerator()


def processor() -> Finding:
    """Cores, threads and memory."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    found = f"{cores} cores, torch uses {threads} threads, {memory:.0f} GiB memory"
    if threads > cores:
        return Finding("warn", "processor", found, f"more threads than cores; set OMP_NUM_THREADS={cores}")
    if threads < cores:
        return Finding("warn", "processor", found, "some cores stay idle; unset OMP_NUM_THREADS for full speed")
    return Finding("ok", "processor", found)


def accelerator() -> Finding:
    """CUDA devices or MPS, with memory and bfloat16."""
    import torch

    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        names = ", ".join(f"{device.name} {device.total_memory / GIB:.0f} GiB" for device in devices)
        if torch.cuda.is_bf16_supported():
            return Finding("ok", "accelerator", f"{names}, bfloat16")
        return Finding("warn", "accelerator", f"{names}, no bfloat16", "train in float32")
    if torch.backends.mps.is_available():
        return Finding("ok", "accelerator", "Apple MPS (shares the main memory)")
    if shutil.which("nvidia-smi"):
        found = f"nvidia-smi is here, but torch {torch.__version__} sees no CUDA device"
        return Finding("warn", "accelerator", found, "install torch's CUDA build, or look at nvidia-smi's output")
    return Finding("warn", "accelerator", "none", "the demo runs without; train real models on a GPU")


def hub_cache() -> Path:
    """Where Hugging Face models are downloaded to."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def disk(what: str, folder: Path) -> Finding:
    """Free space where ``folder`` is or would be."""
    free = shutil.disk_usage(_existing(folder)).free / GIB
    found = f"{free:.1f} GiB free at {folder}"
    if free < 1:
        return Finding("FAIL", what, found, "make room; checkpoints and caches would not fit")
    if free < 10:
        return Finding("warn", what, found, "enough for the demo; a real model and its cache need more than 10 GiB")
    return Finding("ok", what, found)


def writable(what: str, folder: Path) -> Finding:
    """Whether files can be made in ``folder``."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return Finding("ok", what, f"{folder} is writable")
    except OSError as error:
        way_out = "set TMPDIR to another folder" if what == "temporary" else "set HF_HOME to another folder"
        return Finding("FAIL", what, f"{folder} is not writable ({error.strerror})", way_out)


def browser() -> Finding:
    """A browser for the report's own tests."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return Finding("ok", "browser", path)
    return Finding("warn", "browser", "no chromium", "only the browser tests need it: apt-get install chromium")


def _existing(folder: Path) -> Path:
    """The nearest folder above that exists."""
    return next(path for path in [folder, *folder.resolve().parents] if path.is_dir())


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
