"""How the server is reached, by whom, and how much it takes from one of them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tastemaker.base.errors import UserError

HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is set of the server; raises `UserError` naming the setting that cannot be.

    ``public_url`` is how people reach it, for links; with https there, cookies travel by https alone. A ``passphrase``
    opens the link `/join` to everybody who knows it, up to ``max_raters`` people; without one people join by invitation
    only. ``admin_secret`` opens the pages for whoever runs the study; an empty one opens them to nobody, and `serve`
    draws one. ``trusted_proxy`` is the address of the proxy whose X-Forwarded-For and X-Forwarded-Proto are believed.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    passphrase: str = ""
    admin_secret: str = ""
    max_raters: int = 200
    trusted_proxy: str = ""
    logins: int = 60
    """Attempts to join or to open the admin pages, a minute and address."""
    posts: int = 240
    """A minute and rater."""
    reads: int = 600
    """Of pages and images, a minute and rater."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= HIGHEST_PORT:
            raise UserError(f"port: {self.port} is none; choose one from 1024 to {HIGHEST_PORT}, such as 8000")
        if self.public_url and not _is_origin(self.public_url):
            raise UserError(
                f"public_url: {self.public_url!r:.200} is not understood; write it with http:// or https:// and "
                "without a path, as in https://study.example.org"
            )
        for name in ("max_raters", "logins", "posts", "reads"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: {getattr(self, name)} lets nobody in; set it to 1 or more")

    @property
    def url(self) -> str:
        """Where people reach the server, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"

    @property
    def secure(self) -> bool:
        """Whether people reach it by https."""
        return self.url.lower().startswith("https://")

    @property
    def by_invitation(self) -> bool:
        """Whether people join by invitation only."""
        return not self.passphrase


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return whole and parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
