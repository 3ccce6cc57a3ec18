"""Ask people which images they like: a blinded study in the browser, and its votes as results and as training data.

The rounds of a tastemaker d3po run that asks people are served, shown and exported the same way: give the run's folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

if TYPE_CHECKING:
    from tastemaker.study.series import Series

DATABASE, PASSPHRASE, ADMIN_SECRET = "TASTEMAKER_DATABASE", "TASTEMAKER_PASSPHRASE", "TASTEMAKER_ADMIN_SECRET"
"""Environment variables, so that nothing secret stands on a command line."""
EXTRAS = {"fastapi", "jinja2", "limits", "multipart", "python_multipart", "sqlalchemy", "starlette", "uvicorn"}


def create(
    *,
    out: Path,
    images: tuple[str, ...] = (),
    data: Path | None = None,
    kind: Literal["pair", "best", "rank", "flag"] = "pair",
    questions: tuple[Literal["preference", "appeal", "alignment"], ...] = (),
    flags: tuple[str, ...] = (),
    raters: int = 5,
    quota: int | None = None,
    repeats: int | float = 0,
    gold_data: Path | None = None,
    gold: int | float | None = None,
    rule: tuple[str, ...] = (),
    count: int | None = None,
    categories: Path | None = None,
    title: str = "Comparing images",
    consent: str = "",
    consent_file: Path | None = None,
    minutes: float = 30,
    seed: int = 0,
) -> None:
    """Fix what is asked of whom, and copy the images: a folder that holds all it needs.

    Give --images, folders of tastemaker generate with the same prompts, samples and seed, or --data, a data folder
    whose pairs are asked as they stand. Nothing of it can be changed afterwards; the same command again changes
    nothing. People never see names of models or files.

    Args:
        out: Folder of the study to make.
        images: Models to compare as NAME=FOLDER, such as base=images/base tuned=images/tuned.
        data: Data folder whose pairs are asked.
        kind: Which of two is better, the best of all models, their order, or what is wrong with an image.
        questions: Asked of every task, in this order; preference if not given. For appeal the prompt is hidden.
        flags: What may be wrong with an image, for --kind flag, such as hands unsafe "too many fingers".
        raters: Different people who answer each task.
        quota: Most tasks of one person, checks among them; all if not given.
        repeats: Tasks asked a second time, a number (5) or a share (0.1).
        gold_data: Data folder of pairs whose answer is known, to check people with.
        gold: How many of them, a number (5) or a share of the tasks (0.1, also if not given).
        rule: Who is left out of the results, such as gold_missed=0.4 self_disagreement=0.4 one_side=0.9.
        count: Ask only so many tasks of the source, drawn.
        categories: Table of prompt and category (.csv, .tsv, .jsonl); results are shown for each category too.
        title: What people see at the top.
        consent: What people agree to before they begin.
        consent_file: File with that text.
        minutes: After which a task that somebody left may go to somebody else.
        seed: Of every draw.
    """
    with _extras():
        from tastemaker.base.config import validate
        from tastemaker.base.summary import show
        from tastemaker.study import arguments, build, creating
        from tastemaker.study.design import Plan

        fields: dict[str, Any] = {"flags": flags, "raters_per_item": _at_least_one("--raters", raters), "quota": quota}
        fields |= {"questions": questions} if questions else {}
        fields |= {"repeats": arguments.amount("--repeats", repeats), "gold": arguments.gold(gold_data, gold)}
        fields |= {"consent": arguments.consent(consent, consent_file), "rules": arguments.rules(rule)}
        fields |= {"minutes": minutes, "seed": seed}
        plan = validate(Plan, {"title": title, "kind": kind, **fields}, "study create")
        if kind == "flag" and questions:
            _refuse(f"--questions {questions[0]}: tasks of kind flag ask for --flags alone; leave it out")
        named = arguments.read_categories(categories) if categories else {}
        source = creating.part(arguments.source(images, data, kind, named), count, seed)
        checks = build.from_comparisons(gold_data, gold=True) if gold_data else None
        show(creating.make(out, plan, source, checks, categories))
    print(f"\nNext: tastemaker study serve {out}, and tastemaker study invite {out} --count {max(raters, 1)}")


def serve(
    study: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    public_url: str = "",
    passphrase: str = "",
    database: str = "",
    max_raters: int = 200,
    trusted_proxy: str = "",
) -> None:
    """Open the study in the browser, until Ctrl-C; started again, it goes on with every vote that was given.

    Prints the address, how people join, and the secret link of the admin pages (progress, agreement, pause,
    invitations); TASTEMAKER_ADMIN_SECRET sets that secret, so that the link stays the same.

    Args:
        study: Folder of tastemaker study create, or of a tastemaker d3po run.
        host: Address to listen on; 0.0.0.0 lets other machines in.
        port: Port to listen on.
        public_url: How people reach it, for links, such as https://study.example.org.
        passphrase: Lets everybody join who knows it (better: TASTEMAKER_PASSPHRASE); without one by invitation only.
        database: URL of a PostgreSQL database (better: TASTEMAKER_DATABASE); without one a file in the folder.
        max_raters: Most people who can join by the passphrase.
        trusted_proxy: Address of the reverse proxy in front of it, whose X-Forwarded-For is believed.
    """
    with _extras():
        from tastemaker.study.web.serve import serve as run
        from tastemaker.study.web.settings import Settings

        settings = Settings(
            host=host,
            port=port,
            public_url=public_url,
            passphrase=passphrase or _environment(PASSPHRASE),
            admin_secret=_environment(ADMIN_SECRET),
            max_raters=max_raters,
            trusted_proxy=trusted_proxy,
        )
        with _opened(study, database) as series:
            run(series, settings)


def invite(study: Path, /, *, count: int = 1, public_url: str = "", database: str = "") -> None:
    """Print personal links, one a line; each is for one person, who comes back by it on any device.

    Args:
        study: Folder of tastemaker study create, or of a tastemaker d3po run.
        count: How many.
        public_url: How people reach the server; http://127.0.0.1:8000 if not given.
        database: URL of a PostgreSQL database (better: TASTEMAKER_DATABASE), as given to serve.
    """
    with _extras():
        from tastemaker.study.raters import invite as run
        from tastemaker.study.web.settings import Settings

        url = Settings(public_url=public_url).url
        _at_least_one("--count", count)
        with _opened(study, database) as series:
            store = series.current()
            if store is None:
                _refuse(f"{study}: no round is open yet; start `tastemaker d3po` and wait for its first images")
            for _ in range(count):
                print(f"{url}/join/{run(store)}")
    print("Each link works for one person; it cannot be shown again.", file=sys.stderr)


def status(study: Path, /, *, database: str = "") -> None:
    """Show how far people are and how well they agree so far; who is winning stays hidden until the export.

    Args:
        study: Folder of tastemaker study create, or of a tastemaker d3po run.
        database: URL of a PostgreSQL database (better: TASTEMAKER_DATABASE), as given to serve.
    """
    with _extras():
        from tastemaker.base.summary import show
        from tastemaker.study.overview import overview

        with _opened(study, database) as series:
            found = {store.folder.parent.name: overview(store) for store in series.stores()}
            show(found if series.rounds else next(iter(found.values())))
            if not found:
                print(f"{study}: no round is open yet")


def export(
    study: Path, /, *, out: Path, database: str = "", confidence: float = 0.95, least: int | None = None, seed: int = 0
) -> None:
    """Write the votes, the results and, for each question, a data folder that score, rank and train read.

    Results stand there with all raters and without those whom the study's rules exclude; the data folders are without
    them. After more votes the same command replaces the export as a whole. Of a run every round gets a folder.

    Args:
        study: Folder of tastemaker study create, or of a tastemaker d3po run.
        out: Folder to write to.
        database: URL of a PostgreSQL database (better: TASTEMAKER_DATABASE), as given to serve.
        confidence: Share of the intervals.
        least: Votes that a majority needs; if not given more than half of the raters a task, 3 of 5.
        seed: Of the bootstrap.
    """
    with _extras():
        from tastemaker.base.summary import show
        from tastemaker.study.exporting import How, write

        how = How(confidence, least, seed)
        with _opened(study, database) as series:
            show(write(series, out, how))


SUBVERBS = {"create": create, "serve": serve, "invite": invite, "status": status, "export": export}


@contextmanager
def _extras() -> Iterator[None]:
    """One line where what a study needs beyond the rest is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        _refuse(f"{error.name} is not installed; pip install 'tastemaker[study]'")


def _refuse(line: str) -> NoReturn:
    from tastemaker.base.errors import UserError

    raise UserError(line) from None


def _environment(name: str) -> str:
    return os.environ.get(name, "")


@contextmanager
def _opened(study: Path, database: str) -> Iterator[Series]:
    from tastemaker.study.series import open_series

    with closing(open_series(study, database or _environment(DATABASE))) as series:
        yield series


def _at_least_one(option: str, value: int) -> int:
    if value < 1:
        _refuse(f"{option} {value}: must be at least 1")
    return value
