"""Who takes part: an opaque id, a chosen name, and a token of which only the hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import insert, select, update

from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text
from tastemaker.study.db import Store, rater

LONGEST_NAME = 60
SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}  # the cost that RFC 7914 gives for a person who waits


def hash_passphrase(passphrase: str) -> str:
    """What `Plan.passphrase` keeps: salt and scrypt (RFC 7914) of the passphrase, in hex."""
    salt = secrets.token_hex(16)
    return f"{salt}${_scrypt(salt, passphrase)}"


def fits(passphrase: str, kept: str) -> bool:
    """Whether ``passphrase`` is the one of which ``kept`` is the hash; False where ``kept`` is empty."""
    salt, _, known = kept.partition("$")
    return bool(known) and hmac.compare_digest(_scrypt(salt, passphrase), known)


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
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise UserError(f"name: has {len(name)} letters; choose a name of 1 to {LONGEST_NAME}")
    with store.write() as connection:
        found = connection.execute(select(rater.c.id).where(rater.c.token == sha256_text(token))).scalar_one_or_none()
        if found is None:
            raise UserError("invitation: is not known; open the whole link that you were given")
        waiting = (rater.c.id == found) & rater.c.joined.is_(None)
        connection.execute(update(rater).where(waiting).values(name=name, joined=now))
    return str(found)


def rater_of(store: Store, token: str) -> str | None:
    """The id of the rater who has joined with ``token``; None where there is none."""
    known = (rater.c.token == sha256_text(token)) & rater.c.joined.is_not(None)
    with store.read() as connection:
        return connection.execute(select(rater.c.id).where(known)).scalar_one_or_none()


def _scrypt(salt: str, passphrase: str) -> str:
    return hashlib.scrypt(passphrase.encode("utf-8", "surrogatepass"), salt=salt.encode(), **SCRYPT).hex()
