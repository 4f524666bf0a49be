# SPDX-License-Identifier: Apache-2.0
"""Device templates at work: drafts, published versions, which device has which, cloud properties.

A device gets a template in one of two ways: an operator says so, or the device announces a model (``model-id=`` in its
user name, ``modelId`` at provisioning) that is the root of a published template, and has none yet. What a device
announces is its own word: it decides how its data is shown and nothing else, and an operator's choice is never
changed by it. Everything of a device is one document of kind ``device``:
``{"template": NAME, "version": N, "by": "operator" | "device", "cloud": {...}}``.

Methods block for the disk: call them from threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from armillary.engines.documents.document import Document, is_device_id, not_found
from armillary.engines.documents.store import MAX_LIMIT, Delete, DocumentStore, Put
from armillary.engines.series.store import SeriesStore
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError
from armillary.platform.authored.device_facts import of_catalog
from armillary.platform.ports import Directory
from armillary.twin.template.name import check_name, not_published, published_id, split_id
from armillary.twin.template.value_names import ValueNames
from armillary.wire.text.given_text import check_given

if TYPE_CHECKING:
    from armillary.twin.template.change import Migration
    from armillary.twin.template.payload import PayloadTable
    from armillary.twin.template.template import Template

_log = structlog.get_logger(__name__)

KIND: Final = "template"

# Templates kept ready: a parsed one is some 100 KB, and an application has a dozen.
MAX_READY: Final = 64
# Documents read at a time when all are looked through: each may be a megabyte.
PAGE: Final = 20
# Published versions of one template: each is a document of its own.
MAX_VERSIONS: Final = 999
# Devices of one transaction when all of a template's are migrated, and those that are named in the answer.
MIGRATED_AT_ONCE: Final = 200
MAX_NAMED: Final = 100
# How often a change of a device's document is tried again when somebody else changed it at the same moment.
TRIES: Final = 5
# What an announced model is written as in documents.
BY_DEVICE: Final = "device"
BY_OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Ready:
    """A template's document, parsed, its look-up table, and what its values are called."""

    document: Document
    template: Template
    table: PayloadTable
    names: ValueNames


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTemplate:
    """What operators keep of a device.

    Attributes:
        etag: Of its document; empty where there is none.
        name: Of its template; empty: it has none.
        version: Published version of it.
        by: ``operator`` or ``device``: who said so.
        cloud: Cloud properties.
        ready: The template; None where the device has none, or the template is gone.
    """

    etag: str = ""
    name: str = ""
    version: int = 0
    by: str = ""
    cloud: Mapping[str, Any]
    ready: Ready | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSummary:
    """What became, or would become, of all devices of a template.

    Attributes:
        devices: How many have the template in another version.
        losing: How many of them have something that the new version has no place for.
        named: The first of those: device id and what becomes of it.
    """

    devices: int
    losing: int
    named: Sequence[tuple[str, Migration]]


@dataclass(slots=True)
class _Summary:
    """Adds up what becomes of devices, one by one."""

    devices: int = 0
    losing: int = 0
    named: list[tuple[str, Migration]] = field(default_factory=list)

    def add(self, device_id: str, migration: Migration) -> None:
        """Count a device."""
        self.devices += 1
        if not migration.loses_nothing:
            self.losing += 1
            if len(self.named) < MAX_NAMED:
                self.named.append((device_id, migration))

    def made(self) -> MigrationSummary:
        """What was counted."""
        return MigrationSummary(devices=self.devices, losing=self.losing, named=self.named)


class Templates:
    """Device templates.

    Args:
        documents: Has them, and what operators keep of devices.
        directory: Whose devices are.
        series: What devices have sent, and their twins.
    """

    def __init__(self, documents: DocumentStore, directory: Directory, series: SeriesStore) -> None:
        self._kept = documents
        self._directory = directory
        self._series = series
        self._lock = threading.Lock()
        self._ready: dict[str, Ready] = {}
        self._roots: dict[str, list[tuple[str, int, str | None]]] | None = None

    # Templates ----------------------------------------------------------------------------------------------

    def get(self, name: str, version: int = 0) -> Ready:
        """A template: the draft, or a published version.

        Raises:
            NotFoundError: there is none.
        """
        check_name(name)
        return self._parsed(self._kept.get(KIND, published_id(name, version) if version else name))

    def versions(self, name: str) -> tuple[Document, ...]:
        """Documents of the published versions of a template, newest first."""
        page = self._kept.list(KIND, prefix=check_name(name) + ".", limit=MAX_LIMIT)
        found = [each for each in page.items if split_id(each.id)[0] == name]
        return tuple(sorted(found, key=lambda each: split_id(each.id)[1], reverse=True))

    def names(self) -> dict[str, list[int]]:
        """Every template: name -> its published versions, oldest first."""
        found: dict[str, list[int]] = {}
        for document in self._documents():
            name, version = split_id(document.id)
            found.setdefault(name, [])
            if version:
                found[name].append(version)
        return {name: sorted(found[name]) for name in sorted(found)}

    def put(self, name: str, body: Mapping[str, Any], *, by: str, if_match: str | None = None) -> Document:
        """Keep a draft.

        Raises:
            ModelError, InvalidArgumentError: it makes no sense.
            ConflictError: somebody changed it since.
        """
        from armillary.twin.template.json_form import parse_template  # noqa: PLC0415 - a megabyte that a hub without templates does not need

        check_name(name)
        if parse_template(body).version:
            raise InvalidArgumentError("template.version: a draft has none", remedy="Leave it out, then publish.")
        check_given(body, KIND, kept.content if (kept := self._kept.find(KIND, name)) else None)
        return self._kept.put(KIND, name, body, by=by, if_match=if_match)

    def publish(self, name: str, *, by: str) -> Document:
        """Make the draft the next published version, which never changes.

        Raises:
            NotFoundError: there is no draft.
            ConflictError: the newest version is the same already.
        """
        version = self.next_version(name)
        body = {**self.get(name).document.content, "version": version}
        # Only if nobody published at the same moment.
        return self._kept.put(KIND, published_id(name, version), body, by=by, if_match="")

    def next_version(self, name: str) -> int:
        """The version that the draft would be published as. Raises as :meth:`publish`."""
        draft = self.get(name).document
        published = self.versions(name)
        version = self.version_after(name, published)
        if published and {**published[0].content, "version": 0} == {**draft.content, "version": 0}:
            raise ConflictError(
                f"template {name!a}: version {version - 1} is the same already", remedy="Change the draft first."
            )
        return version

    def version_after(self, name: str, published: Sequence[Document]) -> int:
        """The number after these versions, newest first; raises :class:`ConflictError` after the last."""
        version = split_id(published[0].id)[1] + 1 if published else 1
        if version > MAX_VERSIONS:
            raise ConflictError(
                f"template {name!a} has {MAX_VERSIONS} versions", remedy="Make a template with another name."
            )
        return version

    def would_lose(self, name: str) -> MigrationSummary:
        """What would become of all devices of a template if its draft were published and they had it.

        Raises:
            NotFoundError: there is no draft.
        """
        summary = _Summary()
        for document, migration in self._migrations(name, self.get(name)):
            summary.add(document.id, migration)
        return summary.made()

    def delete(self, name: str, version: int = 0, *, by: str) -> int:
        """Delete a published version, or a template with all its versions; how many documents that were.

        Raises:
            ConflictError: a device has it.
            NotFoundError: there is no such template.
        """
        check_name(name)
        if version:
            ids = [published_id(name, version)]
        else:
            ids = [each.id for each in self.versions(name)]
            ids += [name] if self._kept.find(KIND, name) is not None else []
        if not ids:
            raise not_found(KIND, name)
        for device in self._devices(name):
            if not version or device.content.get("version") == version:
                raise ConflictError(
                    f"template {name!a}: device {device.id[:12]}... has it",
                    remedy="Give its devices another template first: armillary template migrate, device template set.",
                )
        self._kept.change([Delete(KIND, each) for each in ids], by=by)
        return len(ids)

    # Devices ------------------------------------------------------------------------------------------------

    def device(self, device_id: str) -> DeviceTemplate:
        """What operators keep of a device; nothing for one that nobody kept anything of."""
        document = self._kept.find("device", device_id) if is_device_id(device_id) else None
        if document is None:
            return DeviceTemplate(cloud={})
        body, ready = document.content, None
        name, version = str(body.get("template") or ""), int(body.get("version") or 0)
        if name:
            try:
                ready = self.get(name, version)
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
        self, device_id: str, name: str, version: int | None = None, *, by: str, dry_run: bool = False
    ) -> tuple[int, Migration]:
        """Give a device a template; the version it has then, and what it lost.

        Args:
            device_id: The device.
            name: Of the template.
            version: Published version; the newest by default.
            by: Who says so.
            dry_run: Only say what it would lose.

        Raises:
            NotFoundError: there is no such published version.
        """
        chosen = self._published(name, version)
        given = self._give(device_id, name, chosen, by=by, source=BY_OPERATOR, dry_run=dry_run)
        assert given is not None  # noqa: S101 - only who is not an operator may come too late
        return chosen.template.version, given

    def unassign(self, device_id: str, *, by: str) -> None:
        """Take a device's template away; its cloud properties stay."""
        self._change_device(device_id, lambda body: _without(body, ("template", "version", "by")), by=by)

    def set_cloud(
        self, device_id: str, change: Mapping[str, Any], *, by: str, if_match: str | None = None
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
        return self.device(device_id)

    def migrate_all(self, name: str, version: int | None = None, *, by: str, dry_run: bool = False) -> MigrationSummary:
        """Give every device of a template one published version of it.

        A device that has left the template's catalog keeps what it has: it is another owner's now.

        Raises:
            NotFoundError: there is no such published version.
        """
        chosen = self._published(name, version)
        summary = _Summary()
        puts: list[Put | Delete] = []
        for document, migration in self._migrations(name, chosen):
            summary.add(document.id, migration)
            body = {**document.content, "version": chosen.template.version, "cloud": dict(migration.cloud)}
            puts.append(Put("device", document.id, body, document.etag))
            if len(puts) == MIGRATED_AT_ONCE:
                self._put_all(puts, by=by, dry_run=dry_run)
                puts = []
        self._put_all(puts, by=by, dry_run=dry_run)
        return summary.made()

    def announced(self, device_id: str, model_id: str) -> None:
        """A device says which model it follows: it gets that template, if it has none. The hub calls it in a thread."""
        try:
            self._take_announcement(device_id, model_id)
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame; it goes on without a template
            _log.warning("hub.template-not-given", device=device_id[:16], model=model_id[:64], why=str(error))

    # Inside -------------------------------------------------------------------------------------------------

    def _migrations(self, name: str, chosen: Ready) -> Iterator[tuple[Document, Migration]]:
        """Documents of devices that have a template in another version than ``chosen``, and what becomes of each."""
        having, owner = self._devices(name), chosen.template.catalog
        mine = None if owner is None else of_catalog(self._directory, [each.id for each in having], owner)
        for document in having:
            if mine is not None and document.id not in mine:
                continue
            if document.content.get("version") != chosen.template.version:
                yield document, self._migration(document.id, document.content, chosen.template)

    def _take_announcement(self, device_id: str, model_id: str) -> None:
        candidates = self._candidates(model_id)
        if not candidates or not is_device_id(device_id) or self.device(device_id).name:
            return
        fields = self._directory.of((device_id,)).get(device_id, {})
        owner = str(fields.get("catalog") or "").lower()
        mine = [each for each in candidates if each[2] is not None and each[2].lower() == owner]
        everyones = [each for each in candidates if each[2] is None]
        for name, version, _ in (mine + everyones)[:1]:
            self._give(device_id, name, self.get(name, version), by=BY_DEVICE, source=BY_DEVICE, dry_run=False)

    def _parsed(self, document: Document) -> Ready:
        with self._lock:
            known = self._ready.get(document.id)
        if known is not None and known.document.etag == document.etag:
            return known
        from armillary.twin.template.json_form import parse_template  # noqa: PLC0415 - as above
        from armillary.twin.template.payload import PayloadTable  # noqa: PLC0415 - a megabyte that a hub without templates does not need

        made = parse_template(document.content)
        ready = Ready(document, made, PayloadTable(made), ValueNames(made))
        with self._lock:
            if len(self._ready) >= MAX_READY:
                self._ready.pop(next(iter(self._ready)))
            self._ready[document.id] = ready
        return ready

    def _published(self, name: str, version: int | None) -> Ready:
        if version:
            try:
                return self.get(name, version)
            except NotFoundError as error:
                raise not_published(name, version) from error
        documents = self.versions(name)
        if not documents:
            raise not_published(name, None)
        return self._parsed(documents[0])

    def _candidates(self, root: str) -> Sequence[tuple[str, int, str | None]]:
        """Templates of a root interface, each in its newest published version: name, version, catalog."""
        with self._lock:
            known = self._roots
        if known is None:
            newest: dict[str, tuple[int, Mapping[str, Any]]] = {}
            for document in self._documents():
                name, version = split_id(document.id)
                if version and version > newest.get(name, (0,))[0]:
                    newest[name] = (version, document.content)
            known = {}
            for name, (version, body) in sorted(newest.items()):
                known.setdefault(str(body.get("root")), []).append((name, version, body.get("catalog")))
            with self._lock:
                self._roots = known
        return known.get(root, ())

    def _documents(self) -> Iterator[Document]:
        """Every document of a template, by id."""
        after: str | None = None
        while True:
            page = self._kept.list(KIND, limit=PAGE, after=after)
            yield from page.items
            after = page.next_after
            if after is None:
                return

    def forget(self, news: Sequence[Document]) -> None:
        """Documents changed: what is remembered of templates may be over. The store calls it."""
        if any(each.kind == KIND for each in news):
            with self._lock:
                self._roots = None

    def _ready_of(self, device_id: str) -> Ready:
        found = self.device(device_id)
        if found.ready is None:
            raise NotFoundError(
                f"device {device_id[:12]}... has no template",
                remedy="Give it one: armillary device template set --device ID --template NAME.",
            )
        return found.ready

    def _give(
        self, device_id: str, name: str, chosen: Ready, *, by: str, source: str, dry_run: bool
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
        by: str,
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

    def _devices(self, name: str) -> list[Document]:
        found: list[Document] = []
        after: str | None = None
        while True:
            page = self._kept.devices.of_template(name, after=after)
            found += page.items
            after = page.next_after
            if after is None:
                return found

    def _put_all(self, puts: Sequence[Put | Delete], *, by: str, dry_run: bool) -> None:
        if puts and not dry_run:
            self._kept.change(puts, by=by)


def _without(body: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}
