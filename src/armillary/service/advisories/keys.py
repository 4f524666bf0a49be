# SPDX-License-Identifier: Apache-2.0
"""Whose signature makes a bundle a feed's: public keys of P-256 that an administrator has registered."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records.advisories import feeds as feed_rows
from armillary.engines.records.schema.advisory_rows import FeedKey
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.context import Context
from armillary.wire.advisory.bundle import NAME_PATTERN

MAX_KEYS: Final = 100  # each is tried when a bundle comes
MAX_PEM_CHARACTERS: Final = 4096
MAX_NAME_CHARACTERS: Final = 64
KEY_ID_PATTERN: Final = "^[0-9a-f]{64}$"
_FEED: Final = re.compile(NAME_PATTERN, re.ASCII)


class FeedKeys:
    """Operations on keys of feeds."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self) -> tuple[FeedKey, ...]:
        """All keys, revoked ones too, the oldest first."""
        return self._context.records.read(feed_rows.keys)

    def trust(self, name: str, pem: str, *, actor: str, feed: str = "") -> FeedKey:
        """Take bundles that this key signs: of one feed only, or of all.

        Raises:
            InvalidArgumentError: no PEM of a public key of P-256, or a name that cannot be.
            ConflictError: the key is trusted already, or was revoked; or there are too many.
        """
        spki = _public_key(pem)
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
            raise InvalidArgumentError(
                f"name: expected 1 to {MAX_NAME_CHARACTERS} characters on one line", remedy="Say whose key it is."
            )
        if feed and _FEED.fullmatch(feed) is None:
            raise InvalidArgumentError(
                f"feed: expected a name of a-z 0-9 . _ -, got {feed!a:.60}", remedy="Leave it out for all feeds."
            )
        made = FeedKey(
            key_id=sha256(spki).hexdigest(),
            name=name,
            feed=feed,
            public_key=spki,
            added_at=self._context.now(),
            added_by=actor,
        )

        def change(connection: Connection) -> FeedKey:
            before = feed_rows.key(connection, made.key_id)
            if before is not None:
                said = "was revoked" if before.revoked_at is not None else "is trusted"
                raise ConflictError(f"key {made.key_id[:16]} {said}", remedy="Use a key of its own for each feed.")
            if len(feed_rows.keys(connection)) >= MAX_KEYS:
                raise ConflictError(f"there are {MAX_KEYS} keys of feeds", remedy="Sign more feeds with one key.")
            feed_rows.add_key(connection, made)
            detail = {"name": name, "feed": feed or "all"}
            self._context.audit(connection, actor, "advisory-feed.trust", made.key_id, detail)
            return made

        return self._context.records.write(change)

    def revoke(self, key_id: str, *, actor: str) -> FeedKey:
        """Take no bundle any more that this key signs; what was imported stays.

        Raises:
            NotFoundError: there is no such key.
            ConflictError: it was revoked before.
        """

        def change(connection: Connection) -> FeedKey:
            before = feed_rows.key(connection, key_id)
            if before is None:
                raise NotFoundError(f"no key of feeds {key_id[:64]}", remedy="List them: armillary advisory-feed keys.")
            if before.revoked_at is not None:
                raise ConflictError(f"key {key_id[:16]} was revoked", remedy="Nothing: no bundle of it is taken.")
            feed_rows.change_key(connection, key_id, {"revoked_at": self._context.now()})
            self._context.audit(connection, actor, "advisory-feed.revoke-key", key_id, {"name": before.name})
            found = feed_rows.key(connection, key_id)
            if found is None:
                raise AssertionError("a key that was changed is not there")
            return found

        return self._context.records.write(change)

    def in_force(self) -> tuple[FeedKey, ...]:
        """The keys that are tried on a bundle."""
        return tuple(each for each in self.list() if each.revoked_at is None)


def loaded(key: FeedKey) -> ec.EllipticCurvePublicKey:
    """The public key of a row."""
    found = serialization.load_der_public_key(key.public_key)
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise TypeError("a key of feeds is not of P-256")
    return found


def _public_key(pem: str) -> bytes:
    """DER SubjectPublicKeyInfo of a PEM."""
    try:
        found = serialization.load_pem_public_key(pem[:MAX_PEM_CHARACTERS].encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key("what is none") from error
    if not isinstance(found, ec.EllipticCurvePublicKey) or found.curve.name != "secp256r1":
        raise _no_key("another kind of key")
    return found.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _no_key(got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"public key: expected PEM of a P-256 public key, got {got}",
        remedy="Make one: openssl ecparam -name prime256v1 -genkey -noout -out feed.key; "
        "openssl ec -in feed.key -pubout.",
    )
