# SPDX-License-Identifier: Apache-2.0
"""Which device has which template, and its cloud properties.

A device gets a template in one of two ways: an operator says so, or the device announces a model (``model-id=`` in its
user name, ``modelId`` at provisioning) that is the root of a published template, and has none yet. What a device
announces is its own word: it decides how its data is shown and nothing else, and an operator's choice is never
changed by it. Everything of a device is one document of kind ``device``:
``{"template": NAME, "version": N, "by": "operator" | "device", "cloud": {...}}``.

Methods block for the disk: call them from threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from armillary.engines.database.outbox import AuditEntry, Author, name_of
from armillary.engines.documents.document import Document, is_device_id
from armillary.engines.documents.store import DocumentStore, Put
from armillary.engines.series.store import SeriesStore
from armillary.errors import ArmillaryError, ConflictError, NotFoundError
from armillary.platform.authored.device_facts import of_catalog
from armillary.platform.ports import Directory
from armillary.platform.templates.templates import Ready, Templates, devices_having

if TYPE_CHECKING:
    from armillary.twin.template.change import Migration
    from armillary.twin.template.template import Template

_log = structlog.get_logger(__name__)

# Devices of one transaction when all of a template's are migrated, and those that are named in the answer.
MIGRATED_AT_ONCE: Final = 200
MAX_NAMED: Final = 100
# How often a change of a device's document is tried again when somebody else changed it at the same moment.
TRIES: Final = 5
# What an announced model is written as in documents.
BY_DEVICE: Final = "device"
BY_OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTemplate:
    """What operators keep of a device."""

    etag: str = ""  # Of its document; empty where there is none
    name: str = ""  # Of its template; empty: it has none
    version: int = 0  # Published version of it
    by: str = ""  # ``operator`` or ``device``: who said so
    cloud: Mapping[str, Any]  # Cloud properties
    ready: Ready | None = None  # The template; None where the device has none, or the template is gone


@dataclass(slots=True)
class MigrationSummary:
    """What became, or would become, of all devices of a template; ``named`` are the first that lose something."""

    devices: int = 0  # How many have the template in another version
    losing: int = 0  # How many of them have something that the new version has no place for
    named: list[tuple[str, Migration]] = field(default_factory=list)

    def add(self, device_id: str, migration: Migration) -> None:
        """Count a device."""
        self.devices += 1
        if not migration.loses_nothing:
            self.losing += 1
            if len(self.named) < MAX_NAMED:
                self.named.append((device_id, migration))


@dataclass(eq=False)
class DeviceTemplates:
    """Which template devices have, and their cloud properties."""

    _kept: DocumentStore
    _templates: Templates
    _directory: Directory
    _series: SeriesStore

    def get(self, device_id: str) -> DeviceTemplate:
        """What operators keep of a device; nothing for one that nobody kept anything of."""
        document = self._kept.find("device", device_id) if is_device_id(device_id) else None
        if document is None:
            return DeviceTemplate(cloud={})
        body, ready = document.content, None
        name, version = str(body.get("template") or ""), int(body.get("version") or 0)
        if name:
            try:
                ready = self._templates.get(name, version)
            except ArmillaryError:  # deleted since, or of a newer program: shown as missing
                ready = None
        return DeviceTemplate(
            etag=document.etag,
            name=name,
            version=version,
            by=str(body.get("by") or BY_OPERATOR),
            cloud=body.get("cloud") or {},
            ready=ready,
        )

    def assign(
        self, device_id: str, name: str, version: int | None = None, *, by: Author, dry_run: bool = False
    ) -> tuple[int, Migration]:
        """Give a device a published version of a template (None: the newest); that version, and what the device lost.

        With ``dry_run`` nothing is changed.

        Raises:
            NotFoundError: there is no such published version.
        """
        chosen = self._templates.published(name, version)
        given = self._give(device_id, name, chosen, by=by, source=BY_OPERATOR, dry_run=dry_run)
        assert given is not None  # noqa: S101 - only who is not an operator may come too late
        return chosen.template.version, given

    def unassign(self, device_id: str, *, by: Author) -> None:
        """Take a device's template away; its cloud properties stay."""
        self._change_device(device_id, lambda body: _without(body, ("template", "version", "by")), by=by)

    def set_cloud(
        self, device_id: str, change: Mapping[str, Any], *, by: Author, if_match: str | None = None
    ) -> DeviceTemplate:
        """Change cloud properties of a device: null takes one away.

        Raises:
            NotFoundError: the device has no template.
            InvalidArgumentError: the template does not have such a property, or it does not take the value.
            ConflictError: somebody changed the device since ``if_match``.
        """
        ready = self._ready_of(device_id)

        from armillary.twin.template.template import changed_cloud  # noqa: PLC0415 - a megabyte that a hub without templates does not need

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            return {**body, "cloud": changed_cloud(ready.template, body.get("cloud") or {}, change)}

        self._change_device(device_id, changed, by=by, if_match=if_match)
        return self.get(device_id)

    def migrate_all(
        self, name: str, version: int | None = None, *, by: Author, dry_run: bool = False
    ) -> MigrationSummary:
        """Give every device of a template one published version of it.

        The audit entry's detail is made of how many devices there are; it is kept with the first of them, as a crash
        may leave the others undone. A device that has left the template's catalog keeps what it has: it is another
        owner's now.

        Raises:
            NotFoundError: there is no such published version.
        """
        chosen = self._templates.published(name, version)
        summary = MigrationSummary()
        concerned = self._concerned(name, chosen)
        if isinstance(by, AuditEntry):
            by = replace(by, detail=by.detail_of(len(concerned)))
        for start in range(0, len(concerned) or 1, MIGRATED_AT_ONCE):
            puts = list[Put]()
            for document in concerned[start : start + MIGRATED_AT_ONCE]:
                migration = self._migration(document.id, document.content, chosen.template)
                summary.add(document.id, migration)
                body = {**document.content, "version": chosen.template.version, "cloud": dict(migration.cloud)}
                puts.append(Put("device", document.id, body, document.etag))
            if not dry_run:
                self._kept.change(puts, by=name_of(by) if start else by)
        return summary

    def announced(self, device_id: str, model_id: str) -> None:
        """A device says which model it follows: it gets that template, if it has none. The hub calls it in a thread."""
        try:
            self._take_announcement(device_id, model_id)
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame; it goes on without a template
            _log.warning("hub.template-not-given", device=device_id[:16], model=model_id[:64], why=str(error))

    def would_lose(self, name: str) -> MigrationSummary:
        """What would become of all devices of a template if its draft were published and they had it.

        Raises:
            NotFoundError: there is no draft.
        """
        summary, draft = MigrationSummary(), self._templates.get(name)
        for document in self._concerned(name, draft):
            summary.add(document.id, self._migration(document.id, document.content, draft.template))
        return summary

    def _concerned(self, name: str, chosen: Ready) -> list[Document]:
        """Documents of the catalog's devices that have a template in another version than ``chosen``."""
        version, owner = chosen.template.version, chosen.template.catalog
        others = [each for each in devices_having(self._kept, name) if each.content.get("version") != version]
        mine = None if owner is None else of_catalog(self._directory, [each.id for each in others], owner)
        return [each for each in others if mine is None or each.id in mine]

    def _take_announcement(self, device_id: str, model_id: str) -> None:
        candidates = self._templates.of_root(model_id)
        if not candidates or not is_device_id(device_id) or self.get(device_id).name:
            return
        fields = self._directory.of((device_id,)).get(device_id, {})
        owner = str(fields.get("catalog") or "").lower()
        mine = [each for each in candidates if each[2] is not None and each[2].lower() == owner]
        everyones = [each for each in candidates if each[2] is None]
        for name, version, _ in (mine + everyones)[:1]:
            self._give(
                device_id, name, self._templates.get(name, version), by=BY_DEVICE, source=BY_DEVICE, dry_run=False
            )

    def _ready_of(self, device_id: str) -> Ready:
        found = self.get(device_id)
        if found.ready is None:
            raise NotFoundError(
                f"device {device_id[:12]}... has no template",
                remedy="Give it one: armillary device template set --device ID --template NAME.",
            )
        return found.ready

    def _give(
        self, device_id: str, name: str, chosen: Ready, *, by: Author, source: str, dry_run: bool
    ) -> Migration | None:
        lost: list[Migration] = []

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            if source == BY_DEVICE and body.get("template"):
                return body  # an operator was quicker
            migration = self._migration(device_id, body, chosen.template)
            lost[:] = [migration]
            given = {"template": name, "version": chosen.template.version, "by": source}
            return {**body, **given, "cloud": dict(migration.cloud)}

        if dry_run:
            document = self._kept.find("device", device_id)
            changed({} if document is None else dict(document.content))
        else:
            self._change_device(device_id, changed, by=by)
        return lost[0] if lost else None

    def _migration(self, device_id: str, body: Mapping[str, Any], template: Template) -> Migration:
        from armillary.twin.template.change import migrate  # noqa: PLC0415 - a megabyte that a hub without templates does not need

        try:
            metrics = [metric.name for metric in self._series.metrics(device_id)]
        except NotFoundError:  # it was never connected
            metrics = []
        twin = self._series.twin(device_id)
        return migrate(template, twin=twin, cloud=body.get("cloud") or {}, metrics=metrics)

    def _change_device(
        self,
        device_id: str,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        by: Author,
        if_match: str | None = None,
    ) -> None:
        """Change a device's document as it is at that moment; again if somebody else was quicker."""
        store = self._kept
        for attempt in range(TRIES):
            document = store.find("device", device_id)
            body = change({} if document is None else dict(document.content))
            expected = if_match if if_match is not None else "" if document is None else document.etag
            try:
                store.put("device", device_id, body, by=by, if_match=expected)
            except ConflictError:
                if if_match is not None or attempt == TRIES - 1:
                    raise
            else:
                return


def _without(body: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}
