# SPDX-License-Identifier: Apache-2.0
"""What people do with organisations, and with all documents of an application at once.

Methods block for the disk. ``catalog`` is who the caller speaks for: None for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from armillary.engines.documents.files import keep_files, plan_import, read_files
from armillary.engines.documents.store import DocumentStore
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity.operator import Operator
from armillary.platform.authored.checks import body_check, check_organisations, warnings
from armillary.platform.authored.documents import AuthoredDocuments, check_catalog, document_of
from armillary.platform.authored.organisations import KIND, Organisations
from armillary.platform.exports.operations import ExportOperations
from armillary.platform.jobs.jobs import Jobs
from armillary.platform.ports import Audit, Directory, Registry
from armillary.twin.author.organisation import parse_organisation
from armillary.wire.export.application_archive import check_manifest

CHANGES: Final = ("new", "changed", "same", "deleted")


class OrganisationOperations:
    """Operations on organisations.

    Args:
        organisations: The tree.
        documents: Authors' documents.
        directory: Whose devices are.
        registry: Catalogs and tokens.
        audit: Gets a line of each change.
    """

    def __init__(
        self,
        organisations: Organisations,
        documents: AuthoredDocuments,
        directory: Directory,
        registry: Registry,
        audit: Audit,
    ) -> None:
        self._organisations = organisations
        self._documents = documents
        self._directory = directory
        self._registry = registry
        self._audit = audit

    def show(self, organisation: str, catalog: str | None) -> dict[str, Any]:
        """An organisation, with the ids of those below it as ``below``."""
        document = document_of(self._documents.visible(KIND, organisation, catalog))
        return {**document, "below": sorted(self._organisations.subtree(organisation) - {organisation})}

    def put(
        self, actor: Operator, organisation: str, body: Mapping[str, Any], catalog: str | None, if_match: str | None
    ) -> dict[str, Any]:
        """Make or change an organisation; its catalog never changes, and the tree has at most five levels."""
        wanted = {**({} if catalog is None else {"catalog": catalog}), **body}
        parsed = parse_organisation(wanted)
        check_catalog(KIND, parsed.catalog, catalog)
        owner = self._registry.catalog_name(parsed.catalog)
        self._documents.check_free(KIND, organisation, catalog, if_match)
        self._organisations.check(organisation, parsed)
        return self._documents.put(actor, KIND, organisation, {**wanted, "catalog": owner}, catalog, if_match)

    def delete(self, actor: Operator, organisation: str, catalog: str | None, if_match: str | None) -> dict[str, Any]:
        """Delete an organisation that has nothing below it, no devices and no token that is still good."""
        self._documents.visible(KIND, organisation, catalog)
        self._documents.check_owned(KIND, organisation, catalog)
        if self._organisations.has_devices(organisation):
            raise ConflictError(
                f"organisation {organisation[:64]!a} has devices",
                remedy="Put them elsewhere: armillary organisation assign.",
            )
        if self._registry.has_tokens_of(organisation):
            raise ConflictError(
                f"organisation {organisation[:64]!a} has tokens", remedy="Revoke them first: armillary token revoke."
            )
        self._organisations.check(organisation, None)
        return self._documents.delete(actor, KIND, organisation, catalog, if_match)

    def devices(
        self, organisation: str, catalog: str | None, *, limit: int, after: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """Devices of an organisation and of those below it by id, and where the next page begins."""
        self._documents.visible(KIND, organisation, catalog)
        return self._organisations.devices(organisation, after=after, limit=limit)

    def assign(self, actor: Operator, device_id: str, organisation: str | None) -> None:
        """Put a device into an organisation of its catalog, or into none.

        Raises:
            NotFoundError: its catalog has no such organisation.
        """
        if "/" in device_id:
            raise InvalidArgumentError("a module is where its device is", remedy="Name the device.")
        if organisation is not None:
            found = self._organisations.all().get(organisation)
            owner = self._directory.of((device_id,)).get(device_id, {}).get("catalog")
            if found is None or str(owner or "").lower() != found.catalog.lower():
                raise NotFoundError(
                    f"the device's catalog has no organisation {organisation!a:.80}",
                    remedy="List them: armillary organisation list.",
                )
        self.assign_checked(actor, device_id, organisation)

    def assign_checked(self, actor: Operator, device_id: str, organisation: str | None) -> None:
        """As :meth:`assign`, of a device and an organisation that the caller has looked at."""
        self._organisations.assign(device_id, organisation, by=actor.name)
        self._audit(actor.name, "device.organisation", device_id, {"organisation": organisation or ""})


class ApplicationOperations:
    """Operations on all documents of an application at once.

    Args:
        store: The documents as they are kept.
        exports: What may be said of data exports.
        jobs: Whose runs under way keep a job.
        forget_document: Forgets what a deleted document leaves, by kind and id.
        audit: Gets a line of each import.
    """

    def __init__(
        self,
        store: DocumentStore,
        exports: ExportOperations,
        jobs: Jobs,
        forget_document: Callable[[str, str], None],
        audit: Audit,
    ) -> None:
        self._store = store
        self._exports = exports
        self._jobs = jobs
        self._forget_document = forget_document
        self._audit = audit

    def bring(
        self,
        actor: Operator,
        manifest: Mapping[str, Any],
        files: Mapping[str, bytes],
        *,
        replace: Sequence[str],
        dry_run: bool,
    ) -> dict[str, Any]:
        """Check every file, then keep all of them in one transaction.

        Args:
            actor: Who acts.
            manifest: ``application.json`` of the export.
            files: Path -> content.
            replace: Kinds whose other documents are deleted; what an import does not name stays otherwise.
            dry_run: Only say what would be done.

        Returns:
            ``dry_run``, ``counts`` and ``steps`` of what is new, changed, same or deleted, ``warnings``.
        """
        check_manifest(manifest)
        store = self._store
        puts = read_files(files, body_check(store))
        check_organisations(store, puts, replace)
        self._exports.check_places(
            {put.id: put.body for put in puts if put.kind == "export"}, replace="export" in replace
        )
        for put in puts:
            if put.kind == "export":
                self._exports.check_secret_stays(put.id, put.body)
        steps = plan_import(store, puts, replace)
        counts = Counter(step.change for step in steps)
        if not dry_run:
            gone = [step for step in steps if step.change == "deleted"]
            for step in gone:
                if step.kind == "job":
                    self._jobs.check_idle(step.id)
            keep_files(store, puts, by=actor.name, replace=replace)
            for step in gone:
                self._forget_document(step.kind, step.id)
            self._audit(actor.name, "application.import", "application", dict(counts))
        return {
            "dry_run": dry_run,
            "counts": {each: counts[each] for each in CHANGES},
            "steps": [{"kind": step.kind, "id": step.id, "change": step.change} for step in steps],
            "warnings": warnings(store, puts),
        }
