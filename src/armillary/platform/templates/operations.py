# SPDX-License-Identifier: Apache-2.0
"""Operations on device templates: make, import, publish, migrate, delete, and list what uses one.

A template is of one catalog or of all, as every author's document (``platform/authored/documents.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.documents.document import Document, decode_body, encode_body
from armillary.engines.documents.store import MAX_LIMIT, DocumentStore
from armillary.errors import ConflictError
from armillary.identity.operator import Operator
from armillary.platform.authored.device_facts import of_catalog
from armillary.platform.authored.documents import AuthoredDocuments, check_catalog, is_visible, put_entry
from armillary.platform.ports import Directory
from armillary.platform.templates.device_templates import DeviceTemplates, MigrationSummary
from armillary.platform.templates.templates import KIND, Ready, Templates
from armillary.twin.author.uses import Use, uses_of_value
from armillary.twin.template.name import check_name, published_id

# Raises unless the ETag that it is given is the one that the caller has seen; None: of nothing.
Precondition = Callable[[str | None], None]


@dataclass(eq=False)
class TemplateOperations:
    """Operations on device templates. Methods block for the disk: call them from threads."""

    _store: DocumentStore
    _authored: AuthoredDocuments
    _templates: Templates
    _device_templates: DeviceTemplates
    _directory: Directory

    def visible(self, name: str, version: int, catalog: str | None) -> Ready:
        """A published version, or the draft (version 0), that who speaks for a catalog may see.

        Raises:
            NotFoundError: there is none, or it is another catalog's.
        """
        self._authored.visible(KIND, _document_id(name, version), catalog)
        return self._templates.get(name, version)

    def put(
        self, actor: Operator, name: str, body: Mapping[str, Any], catalog: str | None, if_match: str | None
    ) -> None:
        """Make or change a draft.

        Raises:
            ModelError, InvalidArgumentError: it makes no sense, or names another catalog.
            ConflictError, PermissionDeniedError: it is not the caller's, or another version than ``if_match``.
        """
        for document_id in self._saying_whose(name):
            self._authored.check_free(KIND, document_id, catalog, if_match)
        kept = dict(body)
        if catalog is not None:  # whatever a file says that was imported
            check_catalog(KIND, kept.setdefault("catalog", catalog), catalog)
        self._templates.put(name, kept, by=put_entry(actor, KIND, name), if_match=if_match)

    def bring(
        self,
        actor: Operator,
        name: str,
        files: Sequence[tuple[str, bytes]],
        catalog: str | None,
        if_match: str | None,
        *,
        root: str | None,
        display_name: str | None,
    ) -> tuple[str, ...]:
        """Make a draft of models in DTDL, of IoT Central's form, or of a whole template document.

        What operators added to a draft that is there stays, as far as the new models have what it names; returns the
        names of what had to go. ``files``: name and content each; ``root``: identifier of the root interface.
        """
        from armillary.twin.template import json_form as template_json  # noqa: PLC0415 - a megabyte that a hub without templates does not need

        made: dict[str, Any] = template_json.body_of_documents(files, root=root, display_name=display_name)
        present = self._store.find(KIND, check_name(name))
        dropped: tuple[str, ...] = ()
        if present is not None:
            self._authored.check_free(KIND, name, catalog, if_match)
            made, dropped = template_json.with_kept(made, present.content)
        self.put(actor, name, made, catalog, if_match)
        return dropped

    def publish(self, actor: Operator, name: str, catalog: str | None) -> int:
        """Make the draft the next published version; its number.

        Raises:
            NotFoundError: there is no draft.
            ConflictError: the newest version is the same already, or there are too many.
        """
        self.check_owned(name, catalog)

        def detail(made: tuple[Document]) -> dict[str, object]:
            return {"version": made[0].content["version"]}

        entry = AuditEntry(actor.name, "template.publish", name, detail)
        return int(self._templates.publish(name, by=entry).content["version"])

    def put_published(
        self,
        actor: Operator,
        name: str,
        body: dict[str, Any],
        catalog: str | None,
        if_match: str | None,
        check: Precondition,
    ) -> Ready:
        """Make or change a template and publish it at once; what it has beside ``body`` stays.

        ``if_match`` is the newest version's ETag that was seen; ``check`` raises where that has another one.
        """
        from armillary.twin.template import json_form as template_json  # noqa: PLC0415 - as above

        versions = self._templates.versions(name)
        for document_id in (name, *(each.id for each in versions[:1])):
            self._authored.check_free(KIND, document_id, catalog, if_match)
        check(versions[0].etag if versions else None)
        present = self._store.find(KIND, name) or (versions[0] if versions else None)
        if present is not None:
            body, _ = template_json.with_kept(body, {**present.content, "cloud_properties": []})
        if catalog is not None:
            body["catalog"] = catalog
        version = self._templates.version_after(name, versions)  # refused before the draft is another one
        entry = AuditEntry(actor.name, "template.publish", name, {})
        if versions and {**versions[0].content, "version": 0} == {**decode_body(encode_body(body)), "version": 0}:
            version = 0  # it is published already
        try:
            self._templates.put(name, body, by=entry, publish_as=version)
        except ConflictError:  # somebody published this version at the same moment: look again
            return self.put_published(actor, name, body, catalog, if_match, check)
        return self._templates.published(name, None)

    def migrate(
        self, actor: Operator, name: str, version: int | None, catalog: str | None, *, dry_run: bool
    ) -> MigrationSummary:
        """Give every device of a template one published version of it (None: the newest); what devices lose."""
        self._authored.visible(KIND, check_name(name), catalog)
        self.check_owned(name, catalog)

        def detail(devices: int) -> dict[str, object]:
            return {"version": version, "devices": devices}

        entry = AuditEntry(actor.name, "template.migrate", name, detail)
        return self._device_templates.migrate_all(name, version, by=entry, dry_run=dry_run)

    def delete(self, actor: Operator, name: str, version: int, catalog: str | None) -> int:
        """Delete a published version, or all of a template (version 0); how many documents that were.

        Raises:
            ConflictError: a device has it.
        """
        self.check_owned(name, catalog, version)
        if catalog is not None and not version:
            for each in self._templates.versions(name):
                self._authored.check_owned(KIND, each.id, catalog)
        entry = AuditEntry(actor.name, "template.delete", name, {"version": version or None})
        return self._templates.delete(name, version, by=entry)

    def delete_seen(self, actor: Operator, name: str, seen: Document, catalog: str | None, check: Precondition) -> None:
        """Delete all of a template of which the caller has seen a published version. Raises as :meth:`delete`."""
        self._authored.check_owned(KIND, seen.id, catalog)
        check(seen.etag)
        self._templates.delete(name, by=AuditEntry(actor.name, "template.delete", name, {}))

    def check_owned(self, name: str, catalog: str | None, version: int = 0) -> None:
        """Raise unless who speaks for a catalog may change a template."""
        for document_id in (_document_id(name, version),) if version else self._saying_whose(name):
            self._authored.check_owned(KIND, document_id, catalog)

    def uses(self, name: str, catalog: str | None, value: str | None) -> Sequence[Use]:
        """What uses a template, or one of its values, of that which the caller may see."""
        if not any(is_visible(each, catalog) for each in self._templates.versions(name)):
            self._authored.visible(KIND, check_name(name), catalog)
        if value is None:
            return self._authored.uses(KIND, name, catalog)
        return uses_of_value(name, value, self._authored.seen_users(catalog))

    def devices(self, name: str, catalog: str | None, limit: int, after: str | None) -> dict[str, Any]:
        """Devices that have a template, by id; of a catalog those that are its."""
        found, at = list[Document](), after
        while len(found) <= limit:  # the mark of the next page is one of the caller's devices too
            page = self._store.devices.of_template(check_name(name), limit=MAX_LIMIT, after=at)
            ids = [each.id for each in page.items]
            mine = frozenset(ids) if catalog is None else of_catalog(self._directory, ids, catalog)
            found += [each for each in page.items if each.id in mine]
            at = page.next_after
            if at is None:
                break
        rows = [
            {"device_id": each.id, "version": each.content.get("version"), "by": each.content.get("by")}
            for each in found[:limit]
        ]
        return {"items": rows, "next": found[limit - 1].id if len(found) > limit else None}

    def _saying_whose(self, name: str) -> Sequence[str]:
        """Documents that say whose a template is: its draft; its versions, where it was imported without a draft."""
        if self._store.find(KIND, check_name(name)) is None:
            return [each.id for each in self._templates.versions(name)] or [name]
        return [name]


def _document_id(name: str, version: int) -> str:
    return published_id(check_name(name), version) if version else check_name(name)
