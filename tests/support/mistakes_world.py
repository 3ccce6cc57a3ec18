"""Those of `demo` and `world`, beside the others of `support.mistakes`."""

from __future__ import annotations

WORLD: dict[str, tuple[str, str]] = {
    "demo --out bad/file": ("bad/file", "choose another folder"),
    "demo --shrot": ("--shrot", "did you mean '--short'?"),
    "world nonsense": ("'world nonsense'", "known: unpack"),
    "world sample --out new --model nowhere": ("nowhere", "give a diffusers folder"),
    "world sample --out new --model bad/cut-unet --pairs 2": ("bad/cut-unet", "save it again"),
    "world sample --out new --model sd --pairs -3": ("-3 captions", "at least 1"),
    "world sample --out new --model sd --flips 2": ("flips=2.0", "between 0 and 1"),
    "world captions --out new/x.txt --count 0": ("0 captions", "at least 1"),
    "world feedback --out new --choices 0": ("--choices 0", "at least 1"),
    "world feedback --out new --rounds -1": ("--rounds -1", "at least 1"),
    "world feedback --out bad/file": ("bad/file", "choose another folder"),
    "world captions --out new/x.txt --split dev": ("'dev'", "'test'"),
    "world captions --out bad/file/x.txt": ("bad/file", "choose another folder"),
    "world measure --comparisons nowhere": ("nowhere/pickapic", "make it first"),
    "world unpack --out bad/empty": ("bad/empty", "choose another --out"),
    "world pretrain --out new --steps 0": ("--steps 0", "at least 1"),
    "world scorer --out bad/file": ("bad/file", "choose another folder"),
}  # fmt: skip
