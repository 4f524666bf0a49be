# SPDX-License-Identifier: Apache-2.0
"""Operations of people on devices' twins, methods, messages and files: each writes a line of the audit log.

The caller has checked that the actor may reach the device. Methods block unless they are coroutines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from armillary.engines.hub.cloud_messages import QueuedMessage
from armillary.engines.hub.configurations import Configuration
from armillary.engines.hub.uploads import Upload
from armillary.engines.series.retention import RetentionRule
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.writer import Change
from armillary.errors import InvalidArgumentError
from armillary.hub.devices.files import FileUploads
from armillary.hub.devices.mailboxes import Mailboxes
from armillary.hub.devices.twins import Twins
from armillary.hub.front.methods import MethodResult
from armillary.identity.operator import Audit, Operator
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
    _audit: Audit

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
        twin = self._twins.change(device_id, tags=tags, desired=desired, whole=whole, if_match=if_match)
        self._audit(actor.name, "device.twin", device_id, detail)
        return twin

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
        await asyncio.to_thread(self._audit, actor.name, "device.method", device_id, {"method": name})
        return await self._invoke(device_id, name, payload, timeout_s, connect_timeout_s=connect_timeout_s)

    def send_message(self, actor: Operator, device_id: str, message: CloudMessage) -> QueuedMessage:
        """Queue a cloud-to-device message."""
        queued = self._mailboxes.send(device_id, message)
        detail = {"message_id": message.message_id, "bytes": len(message.body)}
        self._audit(actor.name, "device.message", device_id, detail)
        return queued

    def purge_messages(self, actor: Operator, device_id: str) -> int:
        """Purge everything that waits for a device; how many messages that were."""
        count = self._mailboxes.purge(device_id)
        self._audit(actor.name, "device.message-purge", device_id, {"messages": count})
        return count

    def delete_file(self, actor: Operator, device_id: str, upload_id: str) -> Upload:
        """Delete a file that a device has uploaded."""
        found = self._files.delete(device_id, upload_id)
        self._audit(actor.name, "device.file-delete", device_id, {"name": found.name, "bytes": found.size})
        return found

    def set_retention(self, actor: Operator, rules: Sequence[RetentionRule], detail: Mapping[str, object]) -> None:
        """Replace the rules of retention."""
        self._series.commits.commit(self._series.maintenance.set_rules(rules))
        self._audit(actor.name, "telemetry.retention", "telemetry", detail)

    def note_import(self, actor: Operator, points: int, devices: int) -> None:
        """Note that values were imported from a file."""
        self._audit(actor.name, "telemetry.import", "telemetry", {"points": points, "devices": devices})

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
        made: Configuration = self._series.commits.commit(change)
        refused = []
        for identity in chosen:
            try:
                self._twins.change(identity, desired=patch)
            except InvalidArgumentError:
                refused.append(identity)
        taken = len(chosen) - len(refused)
        detail = {"devices": taken, "target": target[:200], "refused": refused[:MAX_NAMED_REFUSED]}
        self._audit(actor.name, "hub-configuration.put", name, detail)
        return made, taken

    def delete_configuration(self, actor: Operator, name: str, change: Change) -> None:
        """Delete a configuration; what it has set stays."""
        self._series.commits.commit(change)
        self._audit(actor.name, "hub-configuration.delete", name, {})
