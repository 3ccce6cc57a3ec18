"""The page in a real, headless Chromium, on a telephone's width and on a desk's."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tastemaker.report.reporting import report

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from report_example import make

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=8000",
)
PROBE = """<!DOCTYPE html><body><iframe id=f style="width:WIDTHpx;height:4000px;border:0" src="report.html"></iframe>
<pre id=result></pre><script>
f.onload = () => {
  const d = f.contentDocument, root = d.documentElement, images = [...d.images];
  const wide = [...d.querySelectorAll("body *")].filter(e => !e.closest(".scroll, pre, .prompt, svg"))
    .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1).map(e => e.tagName + "." + e.className);
  const drawn = [...d.querySelectorAll(".plot svg")].filter(e => e.getBoundingClientRect().width > 0);
  const sizes = drawn.flatMap(e => [...e.querySelectorAll("text")]).map(t => t.getBoundingClientRect().height);
  result.textContent = JSON.stringify({
    title: d.title, width: root.clientWidth, scroll: root.scrollWidth, wide,
    images: images.length, broken: images.filter(i => !i.complete || !i.naturalWidth).length,
    requests: f.contentWindow.performance.getEntriesByType("resource").map(e => e.name)
      .filter(n => !n.startsWith("data:")),
    plots: drawn.map(e => e.parentElement.className), smallest: Math.min(...sizes),
    links: [...d.querySelectorAll("nav a")].filter(a => !d.querySelector(a.getAttribute("href"))).length,
  });
};
</script>"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (apt-get install chromium)"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and remembers what was asked for."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with a hostile report, served on this machine."""
    folder = tmp_path_factory.mktemp("site")
    report(folder / "report.html", **make(folder / "inputs", count=12, pairs=20, hostile=True))
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def seen(site: tuple[Path, str], profile: Path, width: int, *flags: str) -> dict[str, Any]:
    """What a browser sees of the page when it is ``width`` pixels wide."""
    folder, address = site
    (folder / "probe.html").write_text(PROBE.replace("WIDTH", str(width)))
    command = [
        str(CHROMIUM),
        *QUIET,
        *flags,
        f"--user-data-dir={profile}",
        f"--window-size={width + 60},4100",
        "--dump-dom",
    ]
    done = subprocess.run([*command, f"{address}/probe.html"], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found
    assert found[1], done.stderr
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("flags", [(), ("--blink-settings=preferredColorScheme=0",)], ids=["light", "dark"])
def test_nothing_is_broken(site: tuple[Path, str], tmp_path: Path, width: int, flags: tuple[str, ...]) -> None:
    Quiet.asked.clear()
    page = seen(site, tmp_path, width, *flags)
    assert page["title"] == "What the model learned to like"
    assert page["width"] == width
    assert page["scroll"] <= width, f"the page scrolls sideways: {page['wide'][:5]}"
    assert page["wide"] == []
    assert (page["images"] > 50, page["broken"]) == (True, 0)
    assert page["requests"] == []
    assert {path for path in Quiet.asked if "favicon" not in path} == {"/probe.html", "/report.html"}
    assert page["plots"] == ["narrow" if width == 375 else "wide"] * 6
    assert page["smallest"] >= 9, "text in a figure is too small to read"
    assert page["links"] == 0
