# SPDX-License-Identifier: Apache-2.0
"""Playbooks: which there are, where each is used, and what each does about the findings of the watch.

Applied after each run of the watch, to open findings, the gravest first. That a playbook was applied to a finding is
recorded in the commit of the actions that came of it: each finding has them once, wherever the service is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from sqlalchemy import Connection

from armillary import content
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.response import playbooks as playbook_rows
from armillary.engines.records.response.playbooks import Unapplied
from armillary.engines.records.schema.rows import Catalog
from armillary.errors import ArmillaryError, ConflictError, HostError, NotFoundError
from armillary.response.playbook import Playbook, Step
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.service.response.aims import ActionRequest
from armillary.service.response.asking import Asked, Asking, Gathered

if TYPE_CHECKING:
    from armillary.engines.records.schema.security.response_rows import Action

# Findings that are read at once, and how often in one run: what is beyond is less grave, and the next run's.
FINDINGS_AT_ONCE: Final = 100
PAGES: Final = 20
# Files of an operator's own playbooks, in the folder ``playbooks`` of the data folder.
MAX_FILES: Final = 100
SHIPPED: Final = "shipped"

_log = structlog.get_logger("armillary.service.response")
_Files = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookUse:
    """A playbook, where it is from, and whether it is used for what was asked about."""

    playbook: Playbook
    source: str  # "shipped", or the name of its file
    is_enabled: bool
    said_by_operator: bool  # False: as the playbook itself says


class Playbooks:
    """Operations on playbooks, and their application. From any thread; one application at a time."""

    def __init__(self, context: Context, asking: Asking) -> None:
        self._context = context
        self._asking = asking
        self._read_of: _Files | None = None
        self._known: Mapping[str, tuple[Playbook, str]] = {}
        self.fault = ""  # why an operator's own file was not taken

    # -- for people -----------------------------------------------------------------------------------------------

    def list(self, catalog: str | None = None) -> tuple[PlaybookUse, ...]:
        """All playbooks, and whether each is used for a catalog, or (None) where no catalog says anything else."""
        known = self._every()

        def query(connection: Connection) -> tuple[PlaybookUse, ...]:
            catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            said = playbook_rows.settings(connection)
            return tuple(_use(*each, said, catalog_id) for _, each in sorted(known.items()))

        return self._context.records.read(query)

    def get(self, name: str, catalog: str | None = None) -> PlaybookUse:
        """A playbook; NotFoundError if there is none of this name."""
        found = next((each for each in self.list(catalog) if each.playbook.name == name), None)
        if found is None:
            raise NotFoundError(f"playbook {name!a:.64} does not exist", remedy="List them: armillary playbook list.")
        return found

    def enable(self, name: str, catalog: str | None, *, enabled: bool, actor: str) -> PlaybookUse:
        """Say whether a playbook is used, for a catalog or (None) where no catalog says anything else."""
        self.get(name)

        def change(connection: Connection) -> None:
            owner = None if catalog is None else catalog_or_raise(connection, catalog)
            catalog_id = None if owner is None else owner.catalog_id
            playbook_rows.set_enabled(
                connection, catalog_id, name, enabled=enabled, at=self._context.now(), actor=actor
            )
            detail = {"catalog": None if owner is None else owner.name, "enabled": enabled}
            self._context.audit(connection, actor, "playbook.enable" if enabled else "playbook.disable", name, detail)

        self._context.records.write(change)
        return self.get(name, catalog)

    def check(self, text: str, name: str = "playbook") -> tuple[Playbook, ...]:
        """The playbooks in a text; WireError that names line and reason if one is wrong."""
        from armillary.response.playbook_file import read_playbooks  # noqa: PLC0415 - memory: the YAML library

        return read_playbooks(text, name)

    def forget(self) -> None:
        """Forget to which findings playbooks were applied that are there no more."""
        self._context.records.write(playbook_rows.prune_runs)

    # -- the run --------------------------------------------------------------------------------------------------

    def run_once(self) -> Iterator[UUID]:
        """Apply playbooks to findings they were not applied to; each action that is to be done, when it is recorded.

        Those that halt something come first: nothing that others do keeps them waiting.
        """
        known = [playbook for playbook, _ in self._every().values()]
        said = self._context.records.read(playbook_rows.settings)
        for playbook in sorted(known, key=lambda each: (not _halts(each), each.name)):
            if playbook.is_enabled or any(on for (_, other), on in said.items() if other == playbook.name):
                yield from self._run(playbook, said)

    def _run(self, playbook: Playbook, said: Mapping[tuple[str, str], bool]) -> Iterator[UUID]:
        catalogs = self._context.records.read(catalog_rows.catalogs)
        names = {each.catalog_id: each.name for each in catalogs if _is_for(playbook, said, each)}
        left = 0  # findings that stay unapplied now: they are passed over
        for _ in range(PAGES if names else 0):
            waiting = self._context.records.read(
                partial(
                    playbook_rows.unapplied,
                    playbook=playbook.name,
                    kinds=playbook.kinds,
                    severities=playbook.severities,
                    catalogs=list(names),
                    devices=(playbook.at_least, playbook.at_most),
                    limit=FINDINGS_AT_ONCE,
                    past=left,
                )
            )
            for each in waiting:
                try:
                    made = self._apply(playbook, each, names[each.catalog_id])
                except HostError as error:  # the disk, say: the next run tries again, and the others go on
                    _log.warning("a playbook was not applied", playbook=playbook.name, error=str(error))
                    left += 1
                else:
                    yield from made
            if len(waiting) < FINDINGS_AT_ONCE:
                break

    def _apply(self, playbook: Playbook, finding: Unapplied, catalog: str) -> Sequence[UUID]:
        """Apply a playbook to a finding, once; the actions that are to be done now."""
        with self._asking.gathering:
            gathered = [one for step in playbook.steps for one in self._gather(playbook, step, finding, catalog)]
            made = self._context.records.write(partial(self._keep, playbook=playbook, finding=finding, found=gathered))
        return [each.action_id for each in made if each.state == "running"]

    def _gather(self, playbook: Playbook, step: Step, finding: Unapplied, catalog: str) -> Iterator[Gathered]:
        options = {} if step.ends_after_s is None else {"ends_after_s": step.ends_after_s}
        request = ActionRequest(
            kind=step.kind,
            catalog=catalog,
            target={"finding": str(finding.finding_id)},
            reason=f"{playbook.title}: {finding.title}"[:1000],
            options=options,
        )
        asked = Asked(
            request=request,
            actor=f"playbook {playbook.name}",
            playbook=playbook.name,
            finding_id=finding.finding_id,
            is_automatic=step.is_automatic,
            expires_after_s=step.expires_after_s,
        )
        try:
            yield self._asking.gather(asked)
        except HostError:  # nothing is wrong with the aim
            raise
        except ArmillaryError as error:  # of an advisory that is gone, say: the others are done nevertheless
            _log.warning("a playbook's action has no aim", playbook=playbook.name, action=step.kind, error=str(error))

    def _keep(
        self, connection: Connection, playbook: Playbook, finding: Unapplied, found: Sequence[Gathered]
    ) -> Sequence[Action]:
        if not playbook_rows.note_run(connection, playbook.name, finding.finding_id, at=self._context.now()):
            return []  # another process was first
        made = []
        for each in found:
            with suppress(ConflictError):  # it would touch nothing
                made.append(self._asking.add_in(connection, each))
        return made

    # -- files ----------------------------------------------------------------------------------------------------

    def _every(self) -> Mapping[str, tuple[Playbook, str]]:
        """Shipped playbooks and an operator's own, by name; read again when a file has changed."""
        files = _files(self._context.folder.path / "playbooks")
        if files == self._read_of:
            return self._known
        from armillary.response.playbook_file import read_playbooks  # noqa: PLC0415 - memory: the YAML library

        known = {
            each.name: (each, SHIPPED)
            for name, text in content.playbook_files().items()
            for each in read_playbooks(text, name)
        }
        self.fault = ""
        for name, _, _ in files:
            try:
                text = (self._context.folder.path / "playbooks" / name).read_text("utf-8")
                own = {each.name: (each, name) for each in read_playbooks(text, name)}
            except (ArmillaryError, OSError, ValueError) as error:
                self.fault = f"{name}: {error}"[:500]
                _log.warning("a file of playbooks was not taken", file=name, error=str(error)[:500])
                continue
            known |= own
        self._known, self._read_of = known, files
        return known


def _files(folder: Path) -> _Files:
    """Names, times and sizes of an operator's own files."""
    try:
        found = sorted(each for each in folder.iterdir() if each.suffix in (".yml", ".yaml") and each.is_file())
    except OSError:
        return ()
    facts = []
    for each in found[:MAX_FILES]:
        with suppress(OSError):  # removed meanwhile
            facts.append((each.name, each.stat().st_mtime_ns, each.stat().st_size))
    return tuple(facts)


def _halts(playbook: Playbook) -> bool:
    return any(step.kind == "halt" and step.is_automatic for step in playbook.steps)


def _is_used(playbook: Playbook, said: Mapping[tuple[str, str], bool], catalog_id: UUID | None) -> bool:
    own = said.get((playbook_rows.owner_of(catalog_id), playbook.name))
    return said.get(("", playbook.name), playbook.is_enabled) if own is None else own


def _is_for(playbook: Playbook, said: Mapping[tuple[str, str], bool], catalog: Catalog) -> bool:
    """Whether a playbook is used for a catalog, and is about it."""
    is_named = not playbook.catalogs or catalog.name.casefold() in playbook.catalogs
    return is_named and _is_used(playbook, said, catalog.catalog_id)


def _use(playbook: Playbook, source: str, said: Mapping[tuple[str, str], bool], catalog_id: UUID | None) -> PlaybookUse:
    owners = {playbook_rows.owner_of(catalog_id), ""}
    return PlaybookUse(
        playbook=playbook,
        source=source,
        is_enabled=_is_used(playbook, said, catalog_id),
        said_by_operator=any((owner, playbook.name) in said for owner in owners),
    )
