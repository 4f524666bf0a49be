# SPDX-License-Identifier: Apache-2.0
"""Operations on data exports: each checks whose the export is, and writes a line of the audit log.

Methods block for the disk. ``catalog`` is the one that the caller is limited to: None for no limit.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.document import Document
from armillary.engines.documents.store import DocumentStore
from armillary.engines.exports.store import DeadLetter
from armillary.errors import InvalidArgumentError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.platform.authored.documents import AuthoredDocuments, document_of
from armillary.platform.exports.exports import Exports, check_destination
from armillary.platform.exports.limits import check_limits
from armillary.platform.exports.replays import Replay
from armillary.twin.author.data_export import DataExport, parse_export, split_secret
from armillary.twin.author.export_destination import DestinationKind

KIND: Final = "export"
# Of a status, what says how much all catalogs together send: a source's entries are of the whole service.
OF_ALL: Final = ("newest", "behind")
OF_ALL_IN_CURSOR: Final = ("seq", "place", "missed")


@dataclass(eq=False)
class ExportOperations:
    """Operations on data exports."""

    _exports: Exports
    _store: DocumentStore
    _documents: AuthoredDocuments
    _changing_secrets: threading.Lock  # Held from looking at a document with secrets until both are changed

    def listed(self, catalog: str | None, limit: int, after: str | None, search: str | None = None) -> dict[str, Any]:
        """Data exports by id, each with how it is doing as ``status``; ``search`` stands in the name or id of each."""
        page = self._documents.listed(KIND, catalog, limit, after, search)
        found = [self._store.find(KIND, each["id"]) for each in page["items"]]
        return {**page, "items": [self._shown(each, catalog) for each in found if each is not None]}

    def show(self, export_id: str, catalog: str | None) -> dict[str, Any]:
        """A data export with its ``status``; its secret is never shown.

        With ``catalog`` the status has nothing that counts other catalogs' records: None stands for it, and for all
        counts of an export of all catalogs.
        """
        return self._shown(self._documents.visible(KIND, export_id, catalog), catalog)

    def put(
        self, actor: Operator, export_id: str, body: Mapping[str, Any], catalog: str | None, if_match: str | None
    ) -> dict[str, Any]:
        """Make or change a data export. The destination's secret is kept apart; without one the present one stays."""
        document, secret = split_secret(body)
        export = parse_export(document)
        if export.group is not None:
            self._documents.visible("group", export.group, catalog)
        if catalog is not None and export.destination.kind is DestinationKind.FILE:
            raise PermissionDeniedError(
                "an export to files of the service's disk",
                remedy="Use a token that is not for one catalog, or a webhook.",
            )
        self._documents.check_free(KIND, export_id, catalog, if_match)
        check_destination(self._exports.hosts, export)
        if not isinstance(document, dict):
            raise InvalidArgumentError("body: expected a JSON object", remedy="Correct the body.")
        self._keep(actor, export_id, (document, secret), catalog, if_match)
        return self.show(export_id, catalog)

    def delete(self, actor: Operator, export_id: str, catalog: str | None, if_match: str | None) -> dict[str, Any]:
        """Delete a data export with its dead letters; files that it wrote stay."""
        deleted = self._documents.delete(actor, KIND, export_id, catalog, if_match)
        self._exports.store.forget(export_id)
        return deleted

    def dead_letters(self, export_id: str, catalog: str | None, *, after: int, limit: int) -> list[DeadLetter]:
        """Batches that the destination refused for good, or on which the transform failed, oldest first."""
        self._documents.owned(KIND, export_id, catalog)
        return self._exports.store.dead_letters(export_id, after=after, limit=limit)

    def replay(
        self, actor: Operator, export_id: str, catalog: str | None, *, caller: str, caller_catalog: str
    ) -> Replay:
        """Begin to deliver dead letters again, oldest first; what is delivered is no dead letter any more.

        Replays of one ``caller`` are limited, and those of all callers of one ``caller_catalog`` (empty for none).
        """
        self._documents.owned(KIND, export_id, catalog)
        entry = AuditEntry(actor.name, "export.replay", export_id, lambda records: {"records": records})
        return self._exports.replays.begin(export_id, caller, entry, catalog=caller_catalog)

    def check_limits(self, changed: Mapping[str, Mapping[str, Any]], *, replace: bool = False) -> None:
        """Raise ConflictError if bodies of exports, by id, enable more than the limits allow.

        With ``replace`` these are to be the only exports.
        """
        present = {each.id: each.content for each in self._store.all((KIND,)) if not replace or each.id in changed}
        check_limits(present, changed)

    def check_secret_stays(self, export_id: str, body: Mapping[str, Any]) -> None:
        """Raise InvalidArgumentError if a body without a secret would have the present one sent somewhere else."""
        if self._exports.store.secret(export_id) is not None:
            export = parse_export(body)
            if export.destination.options.get("signed"):
                self._check_same_target(export_id, export)

    def _keep(
        self,
        actor: Operator,
        export_id: str,
        given: tuple[dict[str, Any], str | None],
        catalog: str | None,
        seen: str | None,
    ) -> None:
        """Keep an export and its secret, both or neither.

        The secret is there first: with the new destination and the one before it, that one would be sent elsewhere.
        """
        document, secret = given
        store, export = self._exports.store, parse_export(document)
        with self._changing_secrets:
            if secret is None and export.destination.options.get("signed"):
                self._check_same_target(export_id, export)
            version = self._documents.check_put(KIND, export_id, document, catalog, seen)
            self.check_limits({export_id: {"catalog": catalog, **document}})
            before = store.secret(export_id)
            try:
                if secret is not None:
                    store.keep_secret(export_id, secret)
                self._documents.put(actor, KIND, export_id, document, catalog, version)
            except BaseException:  # whatever it is: the export stays as it was, and so does its secret
                if secret is not None:
                    store.restore_secret(export_id, before)
                raise

    def _check_same_target(self, export_id: str, export: DataExport) -> None:
        """A secret is not taken along to another place: who may change an export could otherwise have it sent there."""
        present = self._store.find(KIND, export_id)
        before = None if present is None else parse_export(present.content).destination
        if before is None or not before.options.get("signed") or _target(before) != _target(export.destination):
            raise InvalidArgumentError(
                "export.destination.secret: expected one, as the destination is new", remedy="Give the secret again."
            )

    def _shown(self, document: Document, catalog: str | None) -> dict[str, Any]:
        status: dict[str, Any] = asdict(self._exports.status(document))
        if catalog is not None:
            status |= dict.fromkeys(OF_ALL)
            if document.content.get("catalog") is None:
                status |= {"cursor": None, "why": ""}
            elif status["cursor"] is not None:
                status["cursor"] |= dict.fromkeys(OF_ALL_IN_CURSOR)
        return {**document_of(document), "status": status}


def _target(destination: Any) -> tuple[Any, ...]:
    """Who gets to know the secret: where it goes, who vouches for that place, and how it is shown there."""
    options = destination.options
    names = ("url", "host", "port", "tls", "endpoint", "access_key", "servers", "ca", "sasl")
    return (destination.kind, *(options.get(name) for name in names))
