# SPDX-License-Identifier: Apache-2.0
"""Operations of people on devices' twins, methods, messages and files: each writes a line of the audit log.

The caller has checked that the actor may reach the device. Methods block unless they are coroutines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.hub.cloud_messages import QueuedMessage
from armillary.engines.hub.configurations import Configuration
from armillary.engines.hub.uploads import Upload
from armillary.engines.series.restoring import Restored
from armillary.engines.series.retention import RetentionRule
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.writer import Change
from armillary.errors import InvalidArgumentError
from armillary.hub.devices.files import FileUploads
from armillary.hub.devices.mailboxes import Mailboxes
from armillary.hub.devices.twins import Twins
from armillary.hub.front.methods import MethodResult
from armillary.identity.operator import Operator
from armillary.twin.document.document import Twin
from armillary.wire.hub.cloud_message import CloudMessage

# Devices that refused a configuration and are named in the audit log.
MAX_NAMED_REFUSED = 20


@dataclass(eq=False)
class DeviceOperations:
    """Operations on devices."""

    _series: SeriesStore
    _twins: Twins
    _mailboxes: Mailboxes
    _files: FileUploads
    _invoke: Callable[..., Awaitable[MethodResult]]  # as ``Hub.invoke_method``

    def change_twin(
        self,
        actor: Operator,
        device_id: str,
        *,
        tags: object = None,
        desired: object = None,
        whole: AbstractSet[str] = frozenset(),
        if_match: str | None = None,
        detail: Mapping[str, object],
    ) -> Twin:
        """Change a twin as :meth:`Twins.change` does; ``detail`` is what the audit log says of it."""
        entry = AuditEntry(actor.name, "device.twin", device_id, detail)
        return self._twins.change(device_id, tags=tags, desired=desired, whole=whole, if_match=if_match, entry=entry)

    async def invoke_method(
        self,
        actor: Operator,
        device_id: str,
        name: str,
        payload: object,
        timeout_s: float,
        *,
        connect_timeout_s: float = 0.0,
    ) -> MethodResult:
        """Call a direct method. The audit log's line is first: a device that acts and does not answer has acted."""
        entry = AuditEntry(actor.name, "device.method", device_id, {"method": name})
        await asyncio.to_thread(self._series.outbox.note, entry)
        return await self._invoke(device_id, name, payload, timeout_s, connect_timeout_s=connect_timeout_s)

    def send_message(self, actor: Operator, device_id: str, message: CloudMessage) -> QueuedMessage:
        """Queue a cloud-to-device message."""
        detail = {"message_id": message.message_id, "bytes": len(message.body)}
        return self._mailboxes.send(device_id, message, AuditEntry(actor.name, "device.message", device_id, detail))

    def purge_messages(self, actor: Operator, device_id: str) -> int:
        """Purge everything that waits for a device; how many messages that were."""
        entry = AuditEntry(actor.name, "device.message-purge", device_id, lambda count: {"messages": count})
        return self._mailboxes.purge(device_id, entry)

    def delete_file(self, actor: Operator, device_id: str, upload_id: str) -> Upload:
        """Delete a file that a device has uploaded."""

        def detail(found: Upload | None) -> dict[str, object] | None:
            return None if found is None else {"name": found.name, "bytes": found.size}

        return self._files.delete(device_id, upload_id, AuditEntry(actor.name, "device.file-delete", device_id, detail))

    def set_retention(self, actor: Operator, rules: Sequence[RetentionRule], detail: Mapping[str, object]) -> None:
        """Replace the rules of retention."""
        entry = AuditEntry(actor.name, "telemetry.retention", "telemetry", detail)
        self._series.outbox.commit(self._series.maintenance.set_rules(rules), entry)

    def import_points(self, actor: Operator, points: Sequence[Restored], devices: int, now_ms: int) -> None:
        """Put points of so many devices back, at ``now_ms`` (Unix). Raises as :meth:`Restoring.points`."""
        detail = {"points": len(points), "devices": devices}
        entry = AuditEntry(actor.name, "telemetry.import", "telemetry", detail)
        self._series.outbox.commit(self._series.restoring.points(points, now_ms), entry)

    def put_configuration(
        self,
        actor: Operator,
        name: str,
        change: Change,
        chosen: Sequence[str],
        patch: Mapping[str, Any],
        target: str,
    ) -> tuple[Configuration, int]:
        """Keep a configuration (``change``) and patch the desired properties of the devices that it chooses.

        ``chosen`` are devices and modules, ``target`` says in words what chose them. Returns the configuration, and how
        many took it: others keep what they had, as their twin would break a limit.
        """
        outbox, refused = self._series.outbox, list[str]()
        with outbox.held() as entry_id:
            detail: dict[str, object] = {"devices": len(chosen), "target": target[:200], "refused": []}
            entry = AuditEntry(actor.name, "hub-configuration.put", name, detail, entry_id=entry_id)
            made: Configuration = outbox.commit(change, entry)
            for identity in chosen:
                try:
                    self._twins.change(identity, desired=patch)
                except InvalidArgumentError:
                    refused.append(identity)
            taken = len(chosen) - len(refused)
            detail |= {"devices": taken, "refused": refused[:MAX_NAMED_REFUSED]}
            if refused:
                outbox.note(entry)
        return made, taken

    def delete_configuration(self, actor: Operator, name: str, change: Change) -> None:
        """Delete a configuration; what it has set stays."""
        self._series.outbox.commit(change, AuditEntry(actor.name, "hub-configuration.delete", name, {}))
