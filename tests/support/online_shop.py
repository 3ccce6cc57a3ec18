"""D3PO's stages made small, and held-out scores that a test gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tastemaker.base.files import write_json
from tastemaker.cli.scorers import build
from tastemaker.reproduce import d3po_runs, online, world_profile
from tastemaker.reproduce.runs import Shop

SMALL = {
    "rollout": {"images": 3, "steps": 4, "prompts_at_once": 2},
    "rounds": {"count": 2, "prompts": 2, "updates": 1},
}


def small(task: online.OnlineTask) -> online.OnlineTask:
    """Two rounds of two prompts with three images and four steps; three captions prove."""
    tree = {name: {**values, **SMALL[name]} if name in SMALL else values for name, values in task.model.tree.items()}
    sampled, test = task.sampled()[:8], task.test()[:3]
    return replace(task, model=replace(task.model, tree=tree, steps=2), sampled=lambda: sampled, test=lambda: test)


def shop(out: Path) -> Shop:
    tasks = {name: small(task) for name, task in online.world().items()}
    return Shop(out, replace(world_profile.profile(), online=tasks), build)


def filled(out: Path, name: str, base: list[float], *seeds: list[float], judge: str = "utility") -> Shop:
    """A shop in which one judge's held-out scores of a task are those given."""
    made = shop(out)
    for path, values in [
        (d3po_runs.base(made, name).out, base),
        *((d3po_runs.scored(made, name, seed).out, values) for seed, values in enumerate(seeds)),
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {each.name: values for each in made.profile.online[name].judges} | {judge: values})
    return made
