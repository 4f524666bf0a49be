# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian command``: ask a guardian to have its equipment do something."""

from __future__ import annotations

import datetime as dt
import json
import math
import secrets
from typing import Annotated, Any

import typer

from armillary.cli.guardian.device_arguments import DeviceArgument, EquipmentArgument
from armillary.cli.terminal.output import Shown, noun, record
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.wire.equipment.faults import EquipmentCallError

verbs = noun()

# Long enough for a hub that is far away, far below the 300 s that the guard allows.
LIFETIME = dt.timedelta(seconds=60)
NONCE_BYTES = 16  # 22 characters in base64url
OK = 200


def fresh() -> dict[str, str]:
    """Nonce and expiry of a command that is given now."""
    expires = dt.datetime.now(dt.UTC) + LIFETIME
    return {
        "nonce": secrets.token_urlsafe(NONCE_BYTES),
        "expires": expires.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def call(remote: RemoteService, device: str, equipment: str, method: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Call a method of a piece of equipment; what it answers.

    Raises:
        EquipmentCallError: it did not do it; the answer says why.
    """
    path = f"/devices/{segment(device)}/methods/{segment(method)}"
    answer = remote.post(path, {"payload": payload, "timeout_s": 30}, module=equipment)
    said = answer["payload"] if isinstance(answer["payload"], dict) else {}
    if answer["status"] != OK:
        rule = f" (rule {said['rule']})" if "rule" in said else ""
        raise EquipmentCallError(
            f"{equipment}: {method} answered {answer['status']}{rule}: {said.get('error', 'nothing')}",
            remedy=str(said.get("remedy", "")) or None,
        )
    return said


@remote_command(verbs, "command", negative_values=True)
def command(
    remote: RemoteService,
    device: DeviceArgument,
    equipment: EquipmentArgument,
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="Command of the profile.", show_default=False)],
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="A number, true or false, where it has one.")
    ] = None,
) -> Shown:
    """Give a command to a piece of equipment.

    Nonce and expiry are filled in.

    The guard at the equipment decides: a value out of its range, too large a step or a machine that is busy is refused,
    whoever asks.
    """
    payload: dict[str, Any] = fresh()
    if value is not None:
        payload["value"] = _value(value)
    return record({"command": name, **call(remote, device, equipment, name, payload)})


def _value(text: str) -> object:
    """A value as JSON has it, else the text itself, which the guard refuses.

    Raises:
        typer.BadParameter: an option that there is not, or a number that JSON cannot carry.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, str) and text.startswith("-"):
        raise typer.BadParameter(f"No such option, and no number: {text:.40}")
    if isinstance(value, float) and not math.isfinite(value):
        raise typer.BadParameter(f"expected a finite number, true or false, got {text:.40}")
    return value
