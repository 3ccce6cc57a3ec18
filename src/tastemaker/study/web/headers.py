"""Headers that keep answers out of frames, caches and other sites, and scripts of others out of the pages."""

from __future__ import annotations

ALWAYS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
FRESH = {"Cache-Control": "no-store"}
"""Of pages and the interface behind them."""
CHECKED = {"Cache-Control": "no-cache"}
"""Of what belongs to a version of Tastemaker: kept by the browser, and asked about each time."""
OWN = {"Cache-Control": "private, max-age=3600"}
"""Of the images of a rater."""
