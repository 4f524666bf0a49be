# SPDX-License-Identifier: Apache-2.0
"""What each kind of action does to a device, and how that is undone; each in the transaction of the action's step.

The audit log has a line for each device, by whoever approved the action, with the action's id. Actions that do
something to the whole of what they are aimed at, rather than to one device after the other, are in ``wholes.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema.rows import Device
from armillary.engines.records.schema.security.response_rows import Action
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.quarantine import lift_in, put_in, why_not


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEffect:
    """What an action does to a device.

    Attributes:
        do: Does it as of a time, and returns "", or does nothing and returns why.
        undo: The same of undoing what was done at a time; None where that cannot be.
        tell: Tells other parts of devices that were changed, after the commit.
        untell: The same after undoing.
    """

    do: Callable[[Context, Connection, Action, Device, int], str]
    tell: Callable[[Notices, Sequence[str]], None]
    undo: Callable[[Context, Connection, Action, Device, int], str] | None = None
    untell: Callable[[Notices, Sequence[str]], None] | None = None


def actor_of(action: Action) -> str:
    """By whose word an action acts: of who approved it, else of who asked."""
    return action.approved_by or action.asked_by


def _quarantine(context: Context, connection: Connection, action: Action, device: Device, at: int) -> str:
    if fault := why_not(device):
        return fault
    lasts = action.options.get("ends_after_s")
    until = None if lasts is None else at + int(lasts)
    because, actor = str(action.action_id), actor_of(action)
    put_in(context, connection, device, reason=action.reason, at=at, until=until, actor=actor, because=because)
    return ""


def _end_quarantine(context: Context, connection: Connection, action: Action, device: Device, done_at: int) -> str:
    if device.quarantined_at != done_at:  # released meanwhile, and perhaps put there again by somebody else
        return "it is no longer in the quarantine of this action"
    lift_in(context, connection, device.device_id, actor=actor_of(action), because=str(action.action_id))
    return ""


def _revoke(context: Context, connection: Connection, action: Action, device: Device, at: int) -> str:
    if device.revoked_at is not None:
        return "the device is revoked already"
    device_rows.change(connection, device.device_id, {"revoked_at": at, "revoked_reason": action.reason})
    detail = {"reason": action.reason, "action": str(action.action_id)}
    context.audit(connection, actor_of(action), "device.revoke", device.device_id, detail)
    return ""


def _ask(context: Context, connection: Connection, action: Action, device: Device, at: int) -> str:
    if device.revoked_at is not None:
        return "the device is revoked: it is let in for nothing"
    device_rows.change(connection, device.device_id, {"check_now_at": at})
    detail = {"action": str(action.action_id)}
    context.audit(connection, actor_of(action), "device.check-now", device.device_id, detail)
    return ""


def _held(notices: Notices, device_ids: Sequence[str]) -> None:
    for device_id in device_ids:
        notices.device_held(device_id)


def _revoked(notices: Notices, device_ids: Sequence[str]) -> None:
    for device_id in device_ids:
        notices.device_revoked(device_id)


def _changed(notices: Notices, device_ids: Sequence[str]) -> None:
    for device_id in device_ids:
        notices.device_changed(device_id)


EFFECTS: Final[Mapping[str, DeviceEffect]] = MappingProxyType(
    {
        "quarantine": DeviceEffect(do=_quarantine, tell=_held, undo=_end_quarantine, untell=_changed),
        "revoke": DeviceEffect(do=_revoke, tell=_revoked),
        "re-attest": DeviceEffect(do=_ask, tell=lambda notices, device_ids: notices.devices_asked(device_ids)),
    }
)
