"""A connection as bad as can be: every post goes out twice at the same time, and some replies never arrive."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2
import numpy as np

AT_ONCE = {"timeout": {"connect": 5.0, "read": 0.001, "write": 5.0, "pool": 5.0}}
"""The client goes away as soon as it has sent what it had to say."""


class Acknowledged(NamedTuple):
    """A post that was answered with 200, whether or not the answer got further than here."""

    path: str
    body: dict[str, Any]


@dataclass
class Rough(httpx2.BaseTransport):
    """Sends each post twice at once, and drops replies with probability ``drops``.

    Half of the dropped connections are closed before the answer can be there, half of the replies are thrown away.
    """

    numbers: np.random.Generator
    drops: float = 0.1
    acknowledged: list[Acknowledged] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of the requests that were answered."""
    dropped: int = 0
    lost: int = 0
    """Requests of which the server did not let us know how they ended."""

    def __post_init__(self) -> None:
        self._ways = [httpx2.HTTPTransport() for _ in range(2)]
        self._pool = ThreadPoolExecutor(1)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to ``request``, if it arrives."""
        request.read()
        drop, early = self.numbers.random(2)
        copy = self._pool.submit(self._copy, request) if request.method == "POST" else None
        try:
            answer = self._send(self._ways[0], request, hasty=bool(drop < self.drops and early < 0.5))
        finally:
            if copy:
                copy.result()
        if drop < self.drops:
            self.dropped += 1
            raise httpx2.ReadError("thrown away", request=request)
        return answer

    def close(self) -> None:
        """Close all connections."""
        for way in self._ways:
            way.close()
        self._pool.shutdown()

    def _copy(self, request: httpx2.Request) -> None:
        """The same post from a second connection."""
        twin = httpx2.Request(
            request.method, request.url, headers=request.headers, content=request.content, extensions=request.extensions
        )
        try:
            self._send(self._ways[1], twin)
        except httpx2.TransportError:
            self.lost += 1

    def _send(self, way: httpx2.HTTPTransport, request: httpx2.Request, hasty: bool = False) -> httpx2.Response:
        if hasty:
            request.extensions = AT_ONCE
        started = time.monotonic()
        try:
            answer = way.handle_request(request)
            answer.read()
        except httpx2.TransportError:
            self.dropped += hasty
            self.lost += not hasty
            raise
        self.seconds.append(time.monotonic() - started)
        if request.url.path.startswith("/api/") and request.method == "POST" and answer.status_code == 200:
            self.acknowledged.append(Acknowledged(request.url.path, json.loads(request.content)))
        return answer
