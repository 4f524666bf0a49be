# SPDX-License-Identifier: Apache-2.0
"""Operations on jobs and their runs: each checks whose the job is, and writes a line of the audit log.

Methods block for the disk. ``catalog`` is the one that the caller is limited to: None for no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.document import Document, check_match
from armillary.engines.jobs.store import JobRun
from armillary.errors import InvalidArgumentError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.platform.jobs.jobs import Jobs
from armillary.twin.author.group import parse_group
from armillary.twin.author.job import DeviceState, parse_job

KIND: Final = "job"


@dataclass(eq=False)
class JobOperations:
    """Operations on jobs."""

    _jobs: Jobs
    _documents: AuthoredDocuments

    def put(
        self, actor: Operator, job_id: str, body: Mapping[str, Any], catalog: str | None, if_match: str | None
    ) -> dict[str, Any]:
        """Make or change a job; runs under way go on as they began.

        Raises:
            NotFoundError: its group is not there, or another catalog's.
        """
        parse_group(self._documents.visible("group", parse_job(body).group, catalog).content)
        return self._documents.put(actor, KIND, job_id, body, catalog, if_match)

    def delete(
        self, actor: Operator, job_id: str, catalog: str | None, if_match: str | None, *, force: bool = False
    ) -> dict[str, Any]:
        """Delete a job with its runs, when none is under way and nothing uses it; with ``force`` whatever uses it."""
        found = self._documents.check_owned(KIND, job_id, catalog)
        check_match(KIND, job_id, if_match, None if found is None else found.etag)  # before its runs are gone
        if not force:
            self._documents.check_unused(KIND, job_id, catalog)
        self._jobs.forget(job_id)
        return self._documents.delete(actor, KIND, job_id, catalog, if_match, force=force)

    def begin(self, actor: Operator, job_id: str, catalog: str | None, *, only_failed: bool = False) -> JobRun:
        """Begin a run now, over the whole group or over the devices that failed in the newest run.

        Raises:
            InvalidArgumentError: none failed in it.
        """
        self._documents.owned(KIND, job_id, catalog)
        failed_of = None
        if only_failed:
            newest = self._jobs.store.runs(job_id, limit=1)
            if not newest or not newest[0].counts.get(DeviceState.FAILED):
                raise InvalidArgumentError(
                    f"job {job_id[:64]!a}: no device failed in its newest run", remedy="Begin an ordinary run."
                )
            failed_of = newest[0].number
        said = {"only": "failed" if only_failed else "all"}
        return self.begin_checked(actor, job_id, only_failed_of=failed_of, said=said)

    def begin_checked(
        self,
        actor: Operator,
        job_id: str,
        *,
        only_failed_of: int | None = None,
        only_skipped_of: int | None = None,
        said: Mapping[str, str] | None = None,
    ) -> JobRun:
        """Begin a run of a job that the caller has looked at; ``said`` is added to the audit log's line."""

        def detail(begun: tuple[int, int]) -> dict[str, Any]:
            return {"run": begun[0], "devices": begun[1], **(said or {})}

        entry = AuditEntry(actor.name, "job.run", job_id, detail)
        return self._jobs.begin(
            job_id, by=actor.name, only_failed_of=only_failed_of, only_skipped_of=only_skipped_of, entry=entry
        )

    def cancel(self, actor: Operator, job_id: str, number: int, catalog: str | None) -> JobRun:
        """End a run: no other device begins; those under way still get their result."""
        self._documents.owned(KIND, job_id, catalog)
        return self._jobs.cancel(job_id, number, entry=AuditEntry(actor.name, "job.cancel", job_id, {"run": number}))

    def runs(self, job_id: str, catalog: str | None, *, before: int | None, limit: int) -> list[JobRun]:
        """Runs of a job, newest first."""
        self.check_shown(job_id, catalog)
        return self._jobs.store.runs(job_id, before=before, limit=limit)

    def run(self, job_id: str, number: int, catalog: str | None) -> JobRun:
        """One run."""
        self.check_shown(job_id, catalog)
        return self._jobs.store.run(job_id, number)

    def newest(self, job_id: str, owner: str | None, catalog: str | None) -> JobRun | None:
        """The newest run of a job of ``owner``; None before the first, and for who may not see it."""
        if catalog is not None and owner is None:
            return None
        runs = self._jobs.store.runs(job_id, limit=1)
        return runs[0] if runs else None

    def check_shown(self, job_id: str, catalog: str | None) -> Document:
        """A job whose runs the caller may see: one of all catalogs acts on other owners' devices.

        Raises:
            NotFoundError: there is none, or it is another catalog's.
            PermissionDeniedError: it is of all catalogs.
        """
        document = self._documents.visible(KIND, job_id, catalog)
        if catalog is not None and document.content.get("catalog") is None:
            raise PermissionDeniedError(
                f"job {job_id[:64]!a} is of all catalogs", remedy="Use a token that is not for one catalog."
            )
        return document
