# SPDX-License-Identifier: Apache-2.0
"""Import of all documents of an application: from files, in one transaction, after every check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.files import keep_files, plan_import, read_files
from armillary.engines.documents.store import DocumentStore
from armillary.identity.operator import Operator
from armillary.platform.authored.checks import body_check, check_organisations, warnings
from armillary.platform.exports.operations import ExportOperations
from armillary.platform.jobs.jobs import Jobs
from armillary.wire.export.application_archive import check_manifest

CHANGES: Final = ("new", "changed", "same", "deleted")


@dataclass(eq=False)
class ApplicationOperations:
    """Operations on all documents of an application at once."""

    _store: DocumentStore
    _exports: ExportOperations
    _jobs: Jobs
    _forget_document: Callable[[str, str], None]  # Forgets what a deleted document leaves, by kind and id

    def bring(
        self,
        actor: Operator,
        manifest: Mapping[str, Any],
        files: Mapping[str, bytes],
        *,
        replace: Sequence[str],
        dry_run: bool,
    ) -> dict[str, Any]:
        """Check every file, then keep all of them in one transaction; with ``dry_run`` only check.

        Args:
            actor: Who acts.
            manifest: ``application.json`` of the export.
            files: Path -> content.
            replace: Kinds whose other documents are deleted; documents that an import does not name stay otherwise.
            dry_run: Whether nothing is changed.

        Returns:
            ``dry_run``, ``counts`` and ``steps`` of what is new, changed, same or deleted, ``warnings``.
        """
        check_manifest(manifest)
        store = self._store
        puts = read_files(files, body_check(store))
        check_organisations(store, puts, replace)
        self._exports.check_limits(
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
            entry = AuditEntry(actor.name, "application.import", "application", dict(counts))
            keep_files(store, puts, by=entry, replace=replace)
            for step in gone:
                self._forget_document(step.kind, step.id)
        return {
            "dry_run": dry_run,
            "counts": {each: counts[each] for each in CHANGES},
            "steps": [{"kind": step.kind, "id": step.id, "change": step.change} for step in steps],
            "warnings": warnings(store, puts),
        }
