# SPDX-License-Identifier: Apache-2.0
"""Operations on dossiers: make one, list those that were made, give one back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries.security import dossiers as rows
from armillary.engines.records.schema.rows import Page
from armillary.engines.records.schema.security.case_rows import DossierRow
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.authority.key_store import KeyStore
from armillary.service.cases import scope as scopes
from armillary.service.context.blobs import Blobs
from armillary.service.context.context import Context
from armillary.service.context.named_blobs import kept, remove_unnamed
from armillary.service.context.paging import bounded, number_after
from armillary.service.dossier import field as fields
from armillary.service.dossier.building import build, no_such_dossier
from armillary.service.dossier.held import Sources, Subject
from armillary.service.registry.names import catalog_or_raise, product_or_raise
from armillary.wire.dossier import dossier as files
from armillary.wire.transparency import note as notes
from armillary.wire.transparency.note import NoteSignature, VerifierKey

KEY_NAME: Final = "dossier"  # in the key store; it signs dossiers and nothing else
# Of one catalog, or of the whole service; the oldest goes when one more is made.
MAX_KEPT: Final = 20


class Dossiers:
    """Dossiers of a catalog, or (None) of all. An unknown catalog or product raises NotFoundError."""

    def __init__(self, context: Context, keys: KeyStore, blobs: Blobs, sources: Sources) -> None:
        self._context = context
        self._keys = keys
        self._blobs = blobs
        self._sources = sources
        self._making: set[UUID | None] = set()  # catalogs whose dossier is being made
        self._lock = threading.Lock()

    @property
    def key(self) -> VerifierKey:
        """The verifier key of dossiers, which is made the first time."""
        key = self._keys.ed25519(KEY_NAME)
        name = f"armillary-{sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]}/dossier"
        return notes.verifier_key(name, notes.ED25519, key)

    def create(self, catalog: str | None = None, product: str | None = None, *, actor: str) -> DossierRow:
        """Gather everything and sign it.

        Raises:
            InvalidArgumentError: a product without its catalog.
            ConflictError: another dossier of the same catalog is being made.
            WireError: there is more than a file takes; a product's dossier is smaller.
        """
        if product is not None and catalog is None:
            raise InvalidArgumentError("product: expected its catalog too", remedy="Name the catalog.")
        subject, name = self._context.records.read(lambda c: self._subject(c, catalog, product))
        with self._alone(subject.scope.catalog_id):
            return self._create(subject, name, actor)

    @contextlib.contextmanager
    def _alone(self, catalog_id: UUID | None) -> Iterator[None]:
        """One at a time of each catalog: it takes a core for minutes where there are a million devices."""
        with self._lock:
            if catalog_id in self._making:
                raise ConflictError("a dossier of this catalog is being made", remedy="Wait: armillary dossier list.")
            self._making.add(catalog_id)
        try:
            yield
        finally:
            with self._lock:
                self._making.discard(catalog_id)

    def _create(self, subject: Subject, name: str, actor: str) -> DossierRow:
        dossier_id = uuid4()
        parts, states = build(self._sources, subject, dossier_id, name)
        content = files.seal(dossier_id, subject.now, parts, self._sign)
        made = DossierRow(
            number=0,
            dossier_id=dossier_id,
            catalog_id=subject.scope.catalog_id,
            product=name,
            made_at=subject.now,
            made_by=actor,
            sha256=sha256(content).digest(),
            size=len(content),
            states=states,
        )

        def change(connection: Connection) -> list[bytes]:
            rows.add(connection, made)
            detail = {"catalog": subject.scope.catalog or "all", "product": name, "sha256": made.sha256.hex()}
            said = {**detail, "key": self.key.text}
            self._context.audit(connection, actor, "dossier.create", str(dossier_id), said)
            return rows.keep_newest(connection, made.catalog_id, MAX_KEPT)

        with kept(self._context.records, self._blobs, [content]):
            gone = self._context.records.write(change)
        for digest in gone:
            with self._blobs.held(digest):
                remove_unnamed(self._context.records, self._blobs, digest)
        return self.get(dossier_id)

    def list(self, catalog: str | None = None, *, limit: int = 50, after: str | None = None) -> Page[DossierRow]:
        """Dossiers that were made, newest first."""
        before = number_after(after)

        def query(connection: Connection) -> Page[DossierRow]:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return rows.page(connection, catalog_id, limit=bounded(limit), before=before)

        return self._context.records.read(query)

    def get(self, dossier_id: UUID, catalog: str | None = None) -> DossierRow:
        """What is kept of a dossier; NotFoundError if there is none of this id, or it is not of the catalog."""

        def query(connection: Connection) -> DossierRow:
            found = rows.one(connection, dossier_id)
            if catalog is not None and found is not None:
                owner = catalog_or_raise(connection, catalog).catalog_id
                found = found if found.catalog_id == owner else None
            if found is None:
                raise no_such_dossier(dossier_id)
            return found

        return self._context.records.read(query)

    def file(self, dossier_id: UUID, catalog: str | None = None) -> bytes:
        """The file of a dossier; raises as :meth:`get`, and DataFolderError where it is missing."""
        return self._blobs.read(self.get(dossier_id, catalog).sha256)

    def _subject(self, connection: Connection, catalog: str | None, product: str | None) -> tuple[Subject, str]:
        catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
        owned = None if product is None else product_or_raise(connection, catalog or "", product)
        scope = scopes.read(connection, catalog_id, None if owned is None else owned.product_id)
        subject = Subject(scope=scope, field=fields.read(connection, scope), now=self._context.now())
        return subject, "" if owned is None else owned.name

    def _sign(self, text: str) -> NoteSignature:
        return notes.sign(text, self.key.name, self._keys.ed25519(KEY_NAME))
