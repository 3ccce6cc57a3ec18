"""Who takes part: an opaque id, a chosen name, and a token of which only the hash is kept."""

from __future__ import annotations

import secrets

from sqlalchemy import func, insert, select, update

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text
from tastemaker.study.db import Store, rater

LONGEST_NAME = 60


def invite(store: Store) -> str:
    """A new invitation: the token with which one person joins and comes back."""
    token = secrets.token_urlsafe(24)
    with store.write() as connection:
        row = {"id": secrets.token_hex(8), "name": "", "token": sha256_text(token), "joined": None}
        connection.execute(insert(rater).values(**row))
    return token


def join(store: Store, name: str, token: str, now: float) -> str:
    """Take in the person with ``token``, who has agreed to the consent, under a chosen ``name``; the rater's id.

    Joining again changes nothing. Raises `UserError` for an unknown token and for a name that is empty or too long.
    """
    name = as_kept(name)
    with store.write() as connection:
        found = connection.execute(select(rater.c.id).where(rater.c.token == sha256_text(token))).scalar_one_or_none()
        if found is None:
            raise UserError("invitation: is not known; open the whole link that you were given")
        waiting = (rater.c.id == found) & rater.c.joined.is_(None)
        connection.execute(update(rater).where(waiting).values(name=name, joined=now))
    return str(found)


def as_kept(name: str) -> str:
    """``name`` in one line without control characters; raises `UserError` when it is empty or too long then."""
    kept = "".join(letter for letter in " ".join(name.split()) if letter.isprintable()).strip()
    if not 0 < len(kept) <= LONGEST_NAME:
        raise UserError(f"name: has {len(kept)} letters; choose a name of 1 to {LONGEST_NAME}")
    return kept


def rater_of(store: Store, token: str) -> str | None:
    """The id of the rater who has joined with ``token``; None where there is none."""
    known = (rater.c.token == sha256_text(token)) & rater.c.joined.is_not(None)
    with store.read() as connection:
        return connection.execute(select(rater.c.id).where(known)).scalar_one_or_none()


def names(store: Store) -> dict[str, str]:
    """Id → chosen name of everybody who has joined, the first to come first."""
    joined = select(rater.c.id, rater.c.name).where(rater.c.joined.is_not(None)).order_by(rater.c.joined, rater.c.id)
    with store.read() as connection:
        return {row.id: row.name for row in connection.execute(joined)}


def carry(store: Store, token: str, earlier: Store) -> None:
    """Take whom ``token`` names in the study ``earlier`` over to ``store``, joined or still invited; the id stays.

    So a link goes on through the rounds of a series. Where the rater is known already, or in neither, nothing changes.
    """
    named = select(rater).where(rater.c.token == sha256_text(token))
    with earlier.read() as connection:
        found = connection.execute(named).one_or_none()
    if found is None:
        return
    with store.write() as connection:
        if connection.execute(named).one_or_none() is None:
            connection.execute(insert(rater).values(**found._mapping))


def known(store: Store, token: str) -> bool:
    """Whether ``token`` is of a rater or of an invitation that waits."""
    with store.read() as connection:
        found = select(rater.c.id).where(rater.c.token == sha256_text(token))
        return connection.execute(found).scalar_one_or_none() is not None


def count(store: Store) -> int:
    """Raters and invitations."""
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(rater)).scalar_one())
