"""Weights that stages will read: looked for before the first one, not after hours of import and encoding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tastemaker.base.errors import UserError
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Needed, Stage

if TYPE_CHECKING:
    from tastemaker.evaluate.classifier import Classifier

SIDE = 64
ORDER = ("safety", "classifier", "scorer", "model")
"""What a user has spelled first, what is largest last."""
WAY_OUT = {"scorer": "; into the hub's cache (HF_HOME), for reproduce", "model": "; give its folder with --base"}


def find(shop: Shop, stages: Iterable[Stage]) -> list[Needed]:
    """What the unfinished ``stages`` read, each once; all of it is found on disk, in the hub's cache or downloaded.

    Files are hashed and configurations read; only classifiers, which are small and may want a library of their own,
    look at an image. Raises `UserError` for the first that is missing.
    """
    wanted = list(dict.fromkeys(need for stage in stages if not stage.done for need in stage.reads))
    for need in sorted(wanted, key=lambda each: ORDER.index(each.kind)):
        try:
            _find(shop, need)
        except UserError as error:
            raise UserError(f"{error}{WAY_OUT.get(need.kind, '')}") from None
    return wanted


def _find(shop: Shop, need: Needed) -> None:
    from tastemaker.backbone import source
    from tastemaker.evaluate import classifier, safety

    if need.kind == "scorer":
        assert shop.build(need.spec).id
    elif need.kind == "classifier":
        _try(classifier.build(*classifier.parse(need.spec)))
    elif need.kind == "safety":
        _try(safety.build_safety(need.spec).classifier)
    else:
        source.find(need.spec, None)


def _try(classifier: Classifier) -> None:
    from PIL import Image

    classifier.logits([Image.new("RGB", (SIDE, SIDE))])
