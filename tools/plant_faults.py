"""Plant one fault at a time into a copy of the tree and see a test turn red.

    python tools/plant_faults.py [WORD ...] [--list] [--markdown FILE]

The faults stand in `planted_faults.toml` beside this file. Each is applied to a fresh copy of `src/`, from which the
named tests are then run; the checkout is only read. Exit code 1: a fault survived, an edit no longer applies, or the
tests are red without any fault. Standard library only, apart from pytest in the child.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("planted_faults.toml")
HEADER = ("fault", "in", "turned red")
OK, RED = 0, 1
"""pytest's exit codes; any other one means that no test was run to its end."""


@dataclass(frozen=True)
class Fault:
    """An edit that makes ``file`` wrong, and the tests each of which must notice."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def planted(self, text: str) -> str:
        """``text`` with the fault in it. Raises ValueError where the edit does not fit exactly once."""
        if text.count(self.before) != 1 or self.before == self.after:
            raise ValueError(f"{self.name}: {self.before!r} stands {text.count(self.before)} times in {self.file}")
        return text.replace(self.before, self.after)


def read_faults(table: Path = TABLE) -> list[Fault]:
    """The table, in its order."""
    rows = tomllib.loads(table.read_text(encoding="utf-8"))["fault"]
    return [Fault(**row | {"tests": tuple(row["tests"])}) for row in rows]


class Copy:
    """The tree under a temporary folder, from which its tests import it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "tests", "docs", "pyproject.toml"):
            there = ROOT / name
            ignore = shutil.ignore_patterns("__pycache__")
            if there.is_dir():
                shutil.copytree(there, folder / name, ignore=ignore)
            else:
                shutil.copy(there, folder)
        if (shared := ROOT.parent / "shared").is_dir():
            (folder / "shared").symlink_to(shared)  # where tests/conftest.py looks for golden values
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        path = {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        self.environment = kept | path
        imported = self._python("-c", "import tastemaker; print(tastemaker.__file__)").stdout.strip()
        if not Path(imported).is_relative_to(folder):
            raise SystemExit(f"the copy is not what is imported, but {imported}")

    def judged(self, test: str) -> tuple[int, str]:
        """(exit code, first failed test or last line) of pytest on ``test``."""
        words = ("-m", "pytest", test, "-x", "-q", "--tb=no", "-p", "no:cacheprovider")
        done = self._python(*words)
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        lines = (done.stdout + done.stderr).strip().splitlines() or [""]
        return done.returncode, failed[1] if failed else lines[-1]

    def surviving(self, fault: Fault) -> tuple[list[str], list[str]]:
        """Tests that stayed green with the fault planted, and those that turned red."""
        path = self.folder / fault.file
        sound = path.read_text(encoding="utf-8")
        path.write_text(fault.planted(sound), encoding="utf-8")
        try:
            results = {test: self.judged(test) for test in fault.tests}
        finally:
            path.write_text(sound, encoding="utf-8")
        green = [f"{test} ({line})" for test, (code, line) in results.items() if code != RED]
        return green, [line for code, line in results.values() if code == RED]

    def _python(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )


def plant(faults: Sequence[Fault]) -> list[tuple[Fault, list[str]]]:
    """Try all ``faults``; those that were seen, with what turned red."""
    seen = []
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        copy = Copy(Path(name))
        for test in sorted({test for fault in faults for test in fault.tests}):
            code, line = copy.judged(test)
            if code != OK:
                raise SystemExit(f"{test} is not green without a fault: {line}")
        for fault in faults:
            try:
                green, red = copy.surviving(fault)
            except ValueError as error:
                print(f"GONE     {error}", flush=True)
                continue
            print(f"{'SURVIVED' if green else 'red'.ljust(8)} {fault.name}: {', '.join(green or red)}", flush=True)
            if not green:
                seen.append((fault, red))
    return seen


def rewrite(
    page: Path, faults: Sequence[Fault], tried: Sequence[Fault], seen: Sequence[tuple[Fault, list[str]]]
) -> None:
    """Bring the table at the end of ``page`` up to date; rows of faults that were not tried stay as they are."""
    text, _, table = page.read_text(encoding="utf-8").partition(f"| {HEADER[0]} |")
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines() if line.startswith("| ")}
    for fault in tried:
        rows.pop(fault.name, None)
    for fault, red in seen:
        where = fault.file.removeprefix("src/tastemaker/")
        tests = ", ".join(f"`{test.split('[')[0].split('/')[-1]}`" for test in red)
        rows[fault.name] = f"| {fault.name} | `{where}` | {tests} |"
    head = [f"| {' | '.join(HEADER)} |", "| --- | --- | --- |"]
    lines = [*head, *(rows[fault.name] for fault in faults if fault.name in rows)]
    page.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="only faults whose name or file holds one of these")
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="bring the table at the end of this page up to date"
    )
    given = parser.parse_args()
    known = read_faults()
    faults = [fault for fault in known if not given.words or any(w in fault.name + fault.file for w in given.words)]
    if given.list:
        print("\n".join(f"{fault.name} ({fault.file})" for fault in faults))
        return 0
    seen = plant(faults)
    if given.markdown:
        rewrite(given.markdown, known, faults, seen)
    print(f"{len(seen)} of {len(faults)} faults turned a test red")
    return int(len(seen) < len(faults))


if __name__ == "__main__":
    raise SystemExit(main())
