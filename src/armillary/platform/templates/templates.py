# SPDX-License-Identifier: Apache-2.0
"""Device templates: drafts and published versions. Which device has which: ``device_templates.py``.

Methods block for the disk: call them from threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from armillary.engines.database.outbox import Author
from armillary.engines.documents.document import Document, not_found
from armillary.engines.documents.store import MAX_LIMIT, Delete, DocumentStore, Put
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.platform.authored.documents import every
from armillary.twin.template.name import check_name, not_published, published_id, split_id
from armillary.twin.template.value_names import ValueNames
from armillary.wire.text.given_text import check_given

if TYPE_CHECKING:
    from armillary.twin.template.payload import PayloadTable
    from armillary.twin.template.template import Template

KIND: Final = "template"

# Templates kept ready: a parsed one is some 100 KB, and an application has a dozen.
MAX_READY: Final = 64
# Documents read at a time when all are looked through: each may be a megabyte.
PAGE: Final = 20
# Published versions of one template: each is a document of its own.
MAX_VERSIONS: Final = 999


@dataclass(frozen=True, slots=True)
class Ready:
    """A template's document, parsed, its look-up table, and what its values are called."""

    document: Document
    template: Template
    table: PayloadTable
    names: ValueNames


class Templates:
    """Device templates."""

    def __init__(self, documents: DocumentStore) -> None:
        self._kept = documents
        self._lock = threading.Lock()
        self._ready: dict[str, Ready] = {}
        self._roots: dict[str, list[tuple[str, int, str | None]]] | None = None

    def get(self, name: str, version: int = 0) -> Ready:
        """A template: the draft, or a published version; raises NotFoundError if there is none."""
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

    def put(
        self, name: str, body: Mapping[str, Any], *, by: Author, if_match: str | None = None, publish_as: int = 0
    ) -> Document:
        """Keep a draft; with ``publish_as`` also as this published version, both or neither.

        Raises:
            ModelError, InvalidArgumentError: it makes no sense.
            ConflictError: somebody changed it since, or published this version.
        """
        from armillary.twin.template.json_form import parse_template  # noqa: PLC0415 - a megabyte that a hub without templates does not need

        check_name(name)
        if parse_template(body).version:
            raise InvalidArgumentError("template.version: a draft has none", remedy="Leave it out, then publish.")
        check_given(body, KIND, kept.content if (kept := self._kept.find(KIND, name)) else None)
        changes = [Put(KIND, name, body, if_match)]
        if publish_as:
            changes.append(Put(KIND, published_id(name, publish_as), {**body, "version": publish_as}, if_match=""))
        return self._kept.change(changes, by=by)[0]

    def publish(self, name: str, *, by: Author) -> Document:
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

    def delete(self, name: str, version: int = 0, *, by: Author) -> int:
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
        for device in devices_having(self._kept, name):
            if not version or device.content.get("version") == version:
                raise ConflictError(
                    f"template {name!a}: device {device.id[:12]}... has it",
                    remedy="Give its devices another template first: armillary template migrate, device template set.",
                )
        self._kept.change([Delete(KIND, each) for each in ids], by=by)
        return len(ids)

    def published(self, name: str, version: int | None) -> Ready:
        """A published version, the newest if none is named; raises NotFoundError if there is none."""
        if version:
            try:
                return self.get(name, version)
            except NotFoundError as error:
                raise not_published(name, version) from error
        documents = self.versions(name)
        if not documents:
            raise not_published(name, None)
        return self._parsed(documents[0])

    def of_root(self, root: str) -> Sequence[tuple[str, int, str | None]]:
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

    def forget(self, news: Sequence[Document]) -> None:
        """Documents changed: what is remembered of templates may be over. The store calls it."""
        if any(each.kind == KIND for each in news):
            with self._lock:
                self._roots = None

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

    def _documents(self) -> Iterator[Document]:
        """Every document of a template, by id."""
        return every(lambda after: self._kept.list(KIND, limit=PAGE, after=after))


def devices_having(documents: DocumentStore, name: str) -> Iterator[Document]:
    """Documents of the devices that have a template, by device id."""
    return every(lambda after: documents.devices.of_template(name, after=after))
