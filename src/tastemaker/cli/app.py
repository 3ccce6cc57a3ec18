"""The entry point `tastemaker`: verb → module, arguments → one call, errors → one line and an exit code.

A verb's module has one function ``run`` whose signature is the command line and whose docstring is the help
(positional-only parameters are positional arguments; the "Args:" section has a line for each). It returns None,
or an exit code. Two optional things in the module or signature:

- a parameter ``overrides: tuple[str, ...] = ()`` receives the arguments that are not understood
  (``--train.lr 1e-4``), for verbs that read a recipe;
- ``details() -> str`` is printed after the help (the recipe's fields).

A module with a table ``SUBVERBS`` (name → function like ``run``) instead of ``run`` has sub-commands; the first line
of a function's docstring is its line in the list.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import inspect
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tastemaker import __version__
from tastemaker.base.config import closest
from tastemaker.base.errors import Diverged, Interrupted, UserError
from tastemaker.cli.refusal import in_one_line

OVERRIDES = "overrides"


class Verb(NamedTuple):
    """Where a verb lives, and its line in the list of verbs."""

    module: str
    help: str


GROUPS: dict[str, dict[str, Verb]] = {
    "data": {
        "import": Verb("tastemaker.cli.import_", "read comparisons and their images into a data folder"),
        "score": Verb("tastemaker.cli.score", "score every distinct image and prompt with reward models"),
        "rank": Verb("tastemaker.cli.rank", "order the pairs by how sure the scores are, and cut"),
        "subset": Verb("tastemaker.cli.subset", "write the kept pairs and a data card for other trainers"),
        "encode": Verb("tastemaker.cli.encode", "turn images and prompts into the latents that training reads"),
    },
    "model": {
        "check": Verb("tastemaker.cli.check", "show what a recipe would do, without running it"),
        "train": Verb("tastemaker.cli.train", "train an adapter or a whole model by a recipe"),
        "d3po": Verb("tastemaker.cli.d3po", "train from choices on images that the model draws as it learns"),
        "export": Verb("tastemaker.cli.export", "write trained weights for other programs, or push them to the hub"),
        "generate": Verb("tastemaker.cli.generate", "draw images for a list of prompts"),
        "evaluate": Verb("tastemaker.cli.evaluate", "compare models on the same prompts and seeds"),
        "view": Verb("tastemaker.cli.view", "lay models' images side by side in a folder that opens offline"),
        "study": Verb("tastemaker.cli.study", "ask people: blinded studies and feedback for training"),
        "credit": Verb("tastemaker.cli.credit", "draw what methods give to each denoising step"),
        "report": Verb("tastemaker.cli.report", "put the whole story into one HTML file"),
    },
    "more": {
        "demo": Verb("tastemaker.cli.demo", "all of the above on the embedded small world"),
        "reproduce": Verb("tastemaker.cli.reproduce", "make the papers' tables and figures again"),
        "world": Verb("tastemaker.cli.world", "make the small world's base model, scorer and comparisons"),
        "doctor": Verb("tastemaker.cli.doctor", "look for problems of this installation and machine"),
    },
}
VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}

# Libraries that chat by default. Their errors stay; whoever sets these variables is not overruled.
QUIET = {
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (`docs/architecture.md` lists them)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a prompt may hold what the terminal cannot show
    try:
        code = dispatch(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # after --help
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except UserError as error:
        return _fail(3 if isinstance(error, Diverged) else 2, str(error))
    except Interrupted as error:
        return _fail(128 + error.signum, str(error))
    except KeyboardInterrupt:
        return _fail(130, "stopped by Ctrl-C")
    except BrokenPipeError:  # as in `tastemaker … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        shortage = _shortage(error)
        return _fail(2, shortage) if shortage else _fail(70, _bug(error))


def dispatch(arguments: Sequence[str]) -> int:
    """Run ``arguments``; help and version included. Errors are raised."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] == "--version":
        print(f"tastemaker {__version__}")
        return 0
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    return int(parse(arguments)() or 0)


def overview() -> str:
    """The verbs in the order of the data flow, one line each."""
    lines = ["usage: tastemaker VERB [arguments]", "", "Teach text-to-image diffusion models what people like."]
    for group in GROUPS.values():
        lines += ["", *_table({name: verb.help for name, verb in group.items()})]
    return "\n".join([*lines, "", "tastemaker VERB --help explains a verb; tastemaker demo needs nothing else."])


def parse(arguments: Sequence[str]) -> Callable[[], int | None]:
    """The call that ``arguments`` mean, not made yet. Raises `UserError`, or SystemExit after the help."""
    name, *rest = arguments
    if name not in VERBS:
        raise UserError(f"unknown verb '{name}'{closest(name, list(VERBS))}")
    module = importlib.import_module(VERBS[name].module)
    subverbs: Mapping[str, Callable[..., Any]] | None = getattr(module, "SUBVERBS", None)
    if subverbs is None:
        return _bind(module.run, f"tastemaker {name}", rest, module)
    if not rest or rest[0] in ("-h", "--help"):
        return functools.partial(_subverbs, name, module.__doc__ or "", subverbs)
    if rest[0] not in subverbs:
        raise UserError(f"unknown verb '{name} {rest[0]}'{closest(rest[0], list(subverbs))}")
    return _bind(subverbs[rest[0]], f"tastemaker {name} {rest[0]}", rest[1:], module)


def _bind(run: Callable[..., Any], program: str, arguments: Sequence[str], module: ModuleType) -> Callable[[], Any]:
    """Let tyro read ``arguments`` by the signature of ``run``, and bind them to it."""
    import tyro

    signature = inspect.signature(run)

    @functools.wraps(run)
    def bound(*values: Any, **named: Any) -> Callable[[], Any]:
        return functools.partial(run, *values, **named)

    visible = [parameter for parameter in signature.parameters.values() if parameter.name != OVERRIDES]
    bound.__signature__ = signature.replace(parameters=visible)  # type: ignore[attr-defined]
    config = (tyro.conf.PositionalMetavarFromFieldName,)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            if OVERRIDES not in signature.parameters:
                return tyro.cli(bound, prog=program, args=arguments, config=config)
            call, rest = tyro.cli(bound, prog=program, args=arguments, config=config, return_unknown_args=True)
        return functools.partial(call, **{OVERRIDES: tuple(rest)})
    except SystemExit as stop:
        if stop.code != 0:
            raise UserError(in_one_line(said.getvalue(), program)) from None
        if hasattr(module, "details"):
            print(module.details())
        raise


def _subverbs(name: str, about: str, subverbs: Mapping[str, Callable[..., Any]]) -> None:
    print(f"usage: tastemaker {name} VERB [arguments]\n\n{about.strip()}\n")
    print("\n".join(_table({key: (run.__doc__ or "").strip().partition("\n")[0] for key, run in subverbs.items()})))


def _table(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, [*rows, *VERBS]))
    return [f"  {name:<{width}}  {text}" for name, text in rows.items()]


def _fail(code: int, message: str) -> int:
    print(f"tastemaker: {' '.join(message.split())}", file=sys.stderr)
    return code


def _shortage(error: Exception) -> str | None:
    """One line for a machine that is too small, which is no bug."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter is torch's
        return f"out of memory ({error or 'main memory'}); use a smaller batch, or a machine with more"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'the disk'}: no space left; make room and run the same command again"
    return None


def _bug(error: Exception) -> str:
    """One line for an error that is not the user's; the traceback goes to a file, or to stderr when asked for."""
    if os.environ.get("TASTEMAKER_TRACEBACK") == "1":
        traceback.print_exc()
    with tempfile.NamedTemporaryFile(
        "w", prefix="tastemaker-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
    ) as log:
        log.write(f"tastemaker {__version__}\nargv: {sys.argv}\n\n{traceback.format_exc()}")
    return f"{type(error).__name__}: {error} (this is a bug; the traceback is in {Path(log.name)})"


if __name__ == "__main__":
    sys.exit(main())
