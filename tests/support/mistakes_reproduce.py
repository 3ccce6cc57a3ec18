"""Those of `reproduce`, beside the others of `support.mistakes`."""

from __future__ import annotations

PAPER = "reproduce --profile paper --out new --tune-prompts"
BOTH = f"{PAPER} prompts.txt --test-prompts others.txt"

REPRODUCE: dict[str, tuple[str, str]] = {
    "reproduce --out new --only table9": ("--only table9", "table1"),
    "reproduce --out new --page-only": ("--out new: nothing has run", "leave out --page-only"),
    "reproduce --out new --page-only --dry-run": ("--page-only", "leave one out"),
    "reproduce --out bad/file/below --dry-run": ("--out bad/file/below: bad/file is a file", "choose another folder"),
    "reproduce --out new --safety hf-classifier:unsafe=x": ("--safety", "say --profile paper"),
    f"{PAPER} others.txt --test-prompts others.txt": ("'a dog'", "out of"),
    f"{PAPER} no.txt --test-prompts no.txt": ("no.txt", "give a file of"),
    f"{PAPER} prompts.txt --test-prompts bad/empty": ("bad/empty: a folder without anime.json", "give a file of"),
    f"{BOTH} --base sdxl=sd": ("--base sdxl=sd: holds a StableDiffusionPipeline", "give Stable Diffusion XL"),
    f"{BOTH} --only table1": (": no such file or folder, and the hub does not", "into the hub's cache"),
    f"{BOTH} --only inception": ("--only inception", "--class-names FILE"),
    f"{BOTH} --class-names prompts.txt": ("--class-names prompts.txt: 1 names", "give ImageNet's 1000"),
    f"{BOTH} --classifier inception": ("--classifier inception", "give --class-names"),
    f"{BOTH} --only rates --safety hf-classifier:unsafe=x": ("hf-classifier: which model?", "checkpoint=FOLDER"),
}
