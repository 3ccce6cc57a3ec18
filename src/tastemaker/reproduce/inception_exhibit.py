"""DDE's table 4, the Inception Score, of the prompts and by the classifier that `gallery` says.

A fixed list of prompts, several images of each. Part k of P holds the same samples of every prompt, so that the parts
are alike and paired between arms; the score is that of `evaluate.inception` in each part:

    IS_k = exp(E_x KL(p(y|x) ‖ p(y))),   IS = mean over k                (Salimans et al. 2016, arXiv 1606.03498)

Scores of other classifiers, numbers of images or of parts do not compare, so the paper's own would say nothing in the
small world.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.base.files import atomic_file, read_json, write_json
from tastemaker.evaluate.winrate import Interval
from tastemaker.reproduce.arm import Arm
from tastemaker.reproduce.choosing import CHOSEN, checkpoints
from tastemaker.reproduce.exhibit import Exhibit, Missing, OfArms
from tastemaker.reproduce.gallery import SUMMARY, Gallery, Singles
from tastemaker.reproduce.profile import Profile
from tastemaker.reproduce.results import Results, crossed, reading
from tastemaker.reproduce.runs import Shop
from tastemaker.reproduce.stage import Needed, Stage
from tastemaker.reproduce.tables import interval, rows_of
from tastemaker.world.assets import BASE_MODEL

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LOGITS, CHUNK = "logits.npy", 240
"""Images that the classifier sees at once."""


@dataclass(frozen=True)
class Line:
    """Of an arm (None: the base): its score, and the share of images of their prompt's class, both [seeds, parts].

    ``right`` is None where the classifier has other classes than the prompts.
    """

    label: str
    score: Floats
    right: Floats | None
    to_base: Interval | None


@dataclass(frozen=True)
class Inception(OfArms):
    """The table (`exhibit.Exhibit`)."""

    gallery: Gallery

    def stages(self, shop: Shop, seeds: Sequence[int]) -> Iterator[Stage]:
        """The classifier, and every arm's images as it sees them."""
        yield drawn(shop, self.gallery, self.model, None, 0)
        for seed in seeds:
            yield from (drawn(shop, self.gallery, self.model, arm, seed) for arm in self.arms)

    def write(self, results: Results, folder: Path) -> str:
        """The table, its settings, the classifier's accuracy, and `<key>.json`."""
        lines = list(self._lines(results))
        if len(lines) < 2:
            return ""
        measured = read_json(classifier(results.shop, self.gallery).out)
        plain, settings = [_plain(line) for line in lines], self.gallery.settings()
        write_json(folder / f"{self.key}.json", {"settings": settings, "classifier": measured, "lines": plain})
        said = f"{self.gallery.said(measured)} {NOTE}"
        return "\n".join([f"### {self.title}", "", said, "", *_markdown(lines), ""])

    def _lines(self, results: Results) -> Iterator[Line]:
        base = drawn(results.shop, self.gallery, self.model, None, 0)
        if not base.done:
            return
        score, right = _measured([base.out], self.gallery)
        yield Line("base", score, right, None)
        for label, arm in self.named.items():
            stages = [drawn(results.shop, self.gallery, self.model, arm, seed) for seed in results.seeds_of(arm)]
            if outs := [stage.out for stage in stages if stage.done]:
                own, hits = _measured(outs, self.gallery)
                yield Line(label, own, hits, crossed(own - score))


NOTE = (
    "The interval is over seeds and parts. The score looks at no prompt; the last column does. Our source prints no "
    "figures, only that the score rises after training."
)
NAMES_NEEDED = (
    "the Inception Score needs the names of ImageNet's classes: --class-names FILE, 1000 lines in ImageNet's order"
)


def exhibits(profile: Profile, losses: dict[str, Arm], model: str, suffix: str = "") -> Iterator[Exhibit]:
    """The table of ``model``, ``losses`` being its arms by label; without a gallery what is missing for it."""
    key, title = f"inception{suffix}", f"DDE, table 4: Inception Score ({model})"
    world = profile.models[model].base == str(BASE_MODEL)
    if gallery := Singles() if world else profile.gallery:
        yield Inception(key, "dde", title, model, tuple(losses.values()), tuple(losses), gallery)
    else:
        yield Missing(key, "dde", title, NAMES_NEEDED)


def classifier(shop: Shop, gallery: Gallery) -> Stage:
    """The classifier, and what is known of it."""
    name = _keyed("classifier", gallery)
    folder = shop.out / name
    return Stage(
        name.replace("-", " "),
        "classifier",
        folder / SUMMARY,
        lambda: gallery.prepare(folder),
        gallery.seconds,
        reads=gallery.reads,
    )


def drawn(shop: Shop, gallery: Gallery, model: str, arm: Arm | None, seed: int) -> Stage:
    """The prompts drawn by an arm's chosen checkpoint (None: the base), as logits [prompts, samples, classes]."""
    model = model if arm else shop.profile.first_like(model)
    name, folder = (f"{model} base" if arm is None else f"{arm.name} seed {seed}"), _keyed("inception", gallery)
    source = shop.base(model) if arm is None else shop.scored(arm, seed)
    place, base = source.out.parent, shop.profile.models[model]

    def look() -> None:
        step = None if arm is None else int(read_json(place / CHOSEN)["step"])
        adapter = None if step is None else dict(checkpoints(place / "run"))[step]
        _look(shop, gallery, model, adapter, place / folder)

    images = len(gallery.prompts()) * gallery.samples
    return Stage(
        f"{folder.replace('-', ' ')} {name}",
        "draw and classify",
        place / folder / LOGITS,
        look,
        images * base.speed.draw,
        (classifier(shop, gallery), source),
        (*gallery.reads, Needed("model", base.base)),
        images * base.room.drawn,
    )


def _keyed(name: str, gallery: Gallery) -> str:
    return f"{name}-{gallery.key}" if gallery.key else name


def scores(logits: Floats, parts: int) -> Floats:
    """IS of each part [parts] of ``logits`` [prompts, samples, classes]."""
    import numpy as np

    from tastemaker.evaluate.inception import inception_score

    split = np.split(logits, parts, axis=1)
    return np.array([inception_score(part.reshape(-1, part.shape[-1]), 1).score for part in split])


def hits(logits: Floats, classes: Sequence[int], parts: int) -> Floats:
    """Share of images, in each part [parts], whose likeliest class is that of their prompt."""
    import numpy as np

    right = logits.argmax(-1) == np.asarray(classes)[:, None]
    return np.array([part.mean() for part in np.split(right, parts, axis=1)])


def _look(shop: Shop, gallery: Gallery, model: str, adapter: Path | None, folder: Path) -> None:
    import numpy as np

    from tastemaker.evaluate import images as generated

    shop.draw(model, adapter, folder / "images", gallery.prompts(), gallery.samples)
    judge = gallery.open(classifier(shop, gallery).out.parent)
    found = [judge.logits(pictures) for _, pictures in generated.batches(folder / "images", 0, CHUNK)]
    with atomic_file(folder / LOGITS) as temporary, open(temporary, "wb") as file:
        np.save(file, np.concatenate(found).reshape(len(gallery.prompts()), gallery.samples, -1))


def _measured(outs: Sequence[Path], gallery: Gallery) -> tuple[Floats, Floats | None]:
    """Scores and hits [seeds, parts]; one file in memory at a time, for the papers' have 200 MB."""
    import numpy as np

    found = [_of(out, gallery) for out in outs]
    right = [hits for _, hits in found if hits is not None]
    return np.array([scored for scored, _ in found]), np.array(right) if len(right) == len(found) else None


def _of(out: Path, gallery: Gallery) -> tuple[Floats, Floats | None]:
    import numpy as np

    logits, classes = np.load(out, allow_pickle=False).astype(np.float64), gallery.classes()
    alike = logits.shape[-1] == len(set(classes))
    return scores(logits, gallery.parts), hits(logits, classes, gallery.parts) if alike else None


def _markdown(lines: Sequence[Line]) -> Iterator[str]:
    rows = [["", "seeds", "IS", "IS − base (95 %)", "rises after training", "image of its prompt's class"]]
    for line in lines:
        told = line.to_base
        change = ["", ""] if told is None else [interval(told, "+.3f"), reading(told, len(line.score))]
        right = "–" if line.right is None else f"{line.right.mean():.3f}"
        rows.append([line.label, str(len(line.score)), f"{line.score.mean():.3f}", *change, right])
    return iter(rows_of(rows))


def _plain(line: Line) -> dict[str, object]:
    change = None if line.to_base is None or len(line.score) < 2 else asdict(line.to_base)
    right = None if line.right is None else line.right.tolist()
    return {"label": line.label, "score": line.score.tolist(), "right": right, "to_base": change}
