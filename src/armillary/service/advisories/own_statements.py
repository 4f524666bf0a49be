# SPDX-License-Identifier: Apache-2.0
"""VEX statements that operators make here: about an image, a product or an OS release, signed, and taken back.

1. The vulnerability is one of which a feed has a record, and what is meant is there: an image or a product of the
   catalog that the operator acts for, or, for the whole service, a release.
2. Who says so is named (``author``); for "not affected" one of OpenVEX's justifications.
3. The service's key for statements signs all of it; the row and its audit line are one commit.
4. Every answer verifies what it uses: a row that was changed in the database says nothing, and lists show it as such.

Statements are never changed or deleted: a later one counts more, and one that was taken back held until then.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.advisory.ecosystem import NotAssessed, package_of
from armillary.engines.records.advisories import feeds as feed_rows, own_statements as statement_rows
from armillary.engines.records.queries import images as image_rows, releases as release_rows
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.statement_rows import OwnStatementRow
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, SignatureError, WireError
from armillary.service.authority.key_store import KeyStore
from armillary.service.context.context import Context
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.names import catalog_or_raise, product_or_raise
from armillary.wire.advisory import own_statement
from armillary.wire.advisory.own_statement import OwnStatement
from armillary.wire.advisory.vex import Status

KEY_NAME: Final = "vex-statements"  # in the key store
# Statements of a catalog that hold: each is read with the advisories that it is about.
MAX_HOLDING: Final = 10_000
# Statements whose signature was found good, about 1 KB each.
MAX_VERIFIED: Final = 20_000
MAX_REASON: Final = 500

_log = structlog.get_logger("armillary.service.advisories")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a statement is about: exactly one of these."""

    image: UUID | None = None
    product: str | None = None
    release: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of it; ``component`` is a package URL, empty for all of it."""

    status: str
    author: str
    justification: str = ""
    reason: str = ""
    component: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A kept statement; ``said`` is None where its signature is not the service's."""

    row: OwnStatementRow
    said: OwnStatement | None


class OwnStatements:
    """Operations on statements. From any thread."""

    def __init__(self, context: Context, keys: KeyStore) -> None:
        self._context = context
        self._keys = keys
        self._opening = threading.Lock()
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._verified: dict[bytes, OwnStatement] = {}

    def public_key(self) -> ec.EllipticCurvePublicKey | None:
        """The key by which statements are verified; None before the first one, with which it is made."""
        return self._signing_key().public_key() if self._keys.has(KEY_NAME) else None

    def make(self, advisory_id: str, subject: Subject, said: Said, *, catalog: str | None, actor: str) -> Shown:
        """State something of a vulnerability; ``catalog`` is None for the whole service.

        Raises:
            NotFoundError: no feed has the advisory, or the catalog, image, product or release is not there.
            InvalidArgumentError: something of it cannot be said.
            ConflictError: the catalog has as many statements as it may.
        """
        _check(subject, said, catalog)
        key, now = self._signing_key(), self._context.now()

        def change(connection: Connection) -> Shown:
            if not feed_rows.versions_named(connection, advisory_id):
                raise NotFoundError(
                    f"no feed has an advisory {advisory_id!a:.140}", remedy="List them: armillary advisory list."
                )
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            if statement_rows.count(connection, catalog_id) >= MAX_HOLDING:
                raise ConflictError(
                    f"{MAX_HOLDING} statements hold here", remedy="Take back some: armillary advisory state take-back."
                )
            kind, subject_id = _subject_of(connection, subject, catalog, catalog_id)
            made = OwnStatement(
                statement_id=uuid4(),
                vulnerability=advisory_id,
                subject=kind,
                subject_id=subject_id,
                catalog_id=catalog_id,
                component=said.component,
                status=Status(said.status),
                justification=said.justification,
                reason=said.reason,
                author=said.author,
                stated_at=now,
            )
            return self._record(connection, made, key, actor)

        return self._context.records.write(change)

    def _record(self, connection: Connection, made: OwnStatement, key: ec.EllipticCurvePrivateKey, actor: str) -> Shown:
        try:
            signed = own_statement.seal(made, key)
        except WireError as error:
            raise InvalidArgumentError(f"statement: {error.message}", remedy="Say it in another way.") from error
        statement_rows.add(
            connection,
            statement_id=made.statement_id,
            catalog_id=made.catalog_id,
            vulnerability=made.vulnerability,
            stated_at=made.stated_at,
            signed=signed,
            made_by=actor,
        )
        detail = {
            "statement_id": str(made.statement_id),
            made.subject: str(made.subject_id),
            "catalog_id": None if made.catalog_id is None else str(made.catalog_id),
            "status": made.status.value,
            "justification": made.justification,
            "author": made.author,
            "sha256": sha256(signed).hexdigest(),
        }
        self._context.audit(connection, actor, "advisory.state", made.vulnerability, detail)
        row = statement_rows.one(connection, made.statement_id)
        if row is None:
            raise AssertionError("a statement that was written is not there")
        return Shown(row=row, said=made)

    def take_back(self, statement_id: UUID, *, catalog: str | None, reason: str, actor: str) -> Shown:
        """Say that a statement of a catalog (None: of the whole service) holds no more.

        Raises:
            NotFoundError: there is none of this id there.
            ConflictError: it was taken back before.
            InvalidArgumentError: the reason is empty, too long or of several lines.
        """
        if not 0 < len(reason.strip()) <= MAX_REASON or not reason.isprintable():
            raise InvalidArgumentError(
                f"reason: expected 1 to {MAX_REASON} characters on one line", remedy="Say why in a sentence."
            )

        def change(connection: Connection) -> Shown:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            row = statement_rows.one(connection, statement_id)
            if row is None or row.catalog_id != catalog_id:
                raise NotFoundError(f"no statement {statement_id}", remedy="List them: armillary advisory state list.")
            if row.taken_back_at is not None:
                raise ConflictError(
                    f"statement {statement_id} was withdrawn at {row.taken_back_at}",
                    remedy="Nothing: it holds no more.",
                )
            statement_rows.take_back(connection, statement_id, by=actor, reason=reason, now=self._context.now())
            detail = {"statement_id": str(statement_id), "reason": reason}
            self._context.audit(connection, actor, "advisory.state.take-back", row.vulnerability, detail)
            after = statement_rows.one(connection, statement_id)
            if after is None:
                raise AssertionError("a statement that was changed is not there")
            return Shown(row=after, said=self._verified_of(after))

        return self._context.records.write(change)

    def holding(self, connection: Connection, names: Collection[str], at: int | None = None) -> list[OwnStatement]:
        """What operators say of these vulnerabilities now, or said at a time: what is signed, and nothing else."""
        found = [self._verified_of(row) for row in statement_rows.holding(connection, names, at)]
        return [each for each in found if each is not None]

    def names(self, connection: Connection, catalog_id: UUID | None) -> list[str]:
        """Of which vulnerabilities operators of a catalog, or (None) of all, say something."""
        return sorted(statement_rows.names(connection, catalog_id))

    def page(
        self, catalog: str | None = None, *, advisory: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[Shown]:
        """Statements of a catalog and of the whole service, or (None) of all, newest first; taken back ones too."""

        def query(connection: Connection) -> Page[Shown]:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            page = statement_rows.page(
                connection, catalog_id, vulnerability=advisory, limit=bounded(limit), before=number_after(after)
            )
            return Page(tuple(Shown(row=row, said=self._verified_of(row)) for row in page.items), page.next_cursor)

        return self._context.records.read(query)

    def _verified_of(self, row: OwnStatementRow) -> OwnStatement | None:
        found = self._verified.get(row.signed)
        if found is None:
            try:
                found = own_statement.verify(row.signed, self._signing_key().public_key())
            except (WireError, SignatureError) as error:
                _log.warning(
                    "a statement in the records is not signed", statement=str(row.statement_id), why=str(error)
                )
                return None
            if len(self._verified) >= MAX_VERIFIED:
                self._verified.clear()
            self._verified[row.signed] = found
        said = (found.statement_id, found.catalog_id, found.vulnerability, found.stated_at)
        return found if said == (row.statement_id, row.catalog_id, row.vulnerability, row.stated_at) else None

    def _signing_key(self) -> ec.EllipticCurvePrivateKey:
        with self._opening:
            if self._key is None:
                has = self._keys.has(KEY_NAME)
                self._key = self._keys.load(KEY_NAME) if has else self._keys.create(KEY_NAME, ec.SECP256R1())
            return self._key


def _check(subject: Subject, said: Said, catalog: str | None) -> None:
    named = [each for each in (subject.image, subject.product, subject.release) if each is not None]
    if len(named) != 1:
        raise InvalidArgumentError(
            f"expected one of image, product and release, got {len(named)}", remedy="Make a statement for each."
        )
    if (subject.release is None) == (catalog is None):
        raise InvalidArgumentError(
            "a release is the whole service's, images and products are a catalog's",
            remedy="Name the catalog of an image or product, and none for a release.",
        )
    if subject.product is not None and said.component:
        raise InvalidArgumentError(
            "component: a product has none of its own", remedy="Name the image that the component is in."
        )
    words: Mapping[str, tuple[str, Collection[str]]] = {
        "status": (said.status, tuple(each.value for each in Status)),
        "justification": (said.justification, ("", *own_statement.JUSTIFICATIONS)),
    }
    for name, (got, known) in words.items():
        if got not in known:
            raise InvalidArgumentError(
                f"{name}: expected one of {', '.join(filter(None, known))}, got {got!a:.60}",
                remedy="Use one of OpenVEX's words.",
            )
    if (said.status == Status.NOT_AFFECTED) != bool(said.justification):
        raise InvalidArgumentError(
            "a justification belongs to not_affected, and to nothing else",
            remedy=f"Give one of {', '.join(own_statement.JUSTIFICATIONS)} with not_affected.",
        )
    if said.component and isinstance(found := package_of(said.component, "0"), NotAssessed):
        raise InvalidArgumentError(
            f"component: {found.reason}, got {said.component!a:.80}",
            remedy="Write it as the bill of materials does: armillary advisory show lists it.",
        )


def _subject_of(
    connection: Connection, subject: Subject, catalog: str | None, catalog_id: UUID | None
) -> tuple[str, UUID]:
    """What a statement is about, as it is named in it."""
    if subject.image is not None and catalog_id is not None:
        if image_rows.one(connection, catalog_id, subject.image) is None:
            raise NotFoundError(f"no image {subject.image} in {catalog}", remedy="List them: armillary image list.")
        return "image", subject.image
    if subject.product is not None and catalog is not None:
        return "product", product_or_raise(connection, catalog, subject.product).product_id
    found = next((one.release_id for one in release_rows.every(connection) if one.release_id == subject.release), None)
    if found is None:
        raise NotFoundError(f"no release {subject.release}", remedy="List them: armillary release list.")
    return "release", found
