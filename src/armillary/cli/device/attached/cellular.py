# SPDX-License-Identifier: Apache-2.0
"""``armillary device cellular``: the modem of a running device."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from armillary.cli.device.attached.asking import HELP, AskedDevice, attached_command, secret_of
from armillary.cli.terminal.output import Shown, noun, record
from armillary.errors import ConflictError

PIN_VARIABLE = "ARMILLARY_SIM_PIN"
PASSWORD_VARIABLE = "ARMILLARY_ACCESS_POINT_PASSWORD"  # noqa: S105 - its name

app = noun(HELP)
cellular = noun("Modem of a running device.", within=app, name="cellular")


@attached_command(cellular, "show-status")
def _status(device: AskedDevice) -> Shown:
    """Show SIM, network, signal and session."""
    return record(device.get("cellular/interface"))


@attached_command(cellular, "show")
def _show(device: AskedDevice) -> Shown:
    """Show what the device was told, without secrets."""
    return record(device.get("cellular/config"))


@attached_command(cellular, "enable")
def _enable(device: AskedDevice) -> Shown:
    """Have a device use its modem."""
    return record(device.call("PATCH", "cellular/config", {"enabled": True}))


@attached_command(cellular, "disable")
def _disable(device: AskedDevice) -> Shown:
    """Have a device end its session, and keep what it was told."""
    return record(device.call("PATCH", "cellular/config", {"enabled": False}))


@attached_command(cellular, "configure")
def _configure(
    device: AskedDevice,
    access_point: Annotated[
        str | None, typer.Option("--access-point", metavar="NAME", help="APN; empty: the network's choice.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option("--operator", metavar="DIGITS", help="The only network, such as 26201; empty: any.")
    ] = None,
    authentication: Annotated[
        Literal["none", "pap", "chap"] | None,
        typer.Option("--authentication", help="How the device signs in at the access point."),
    ] = None,
    username: Annotated[str | None, typer.Option("--username", metavar="TEXT", help="With pap and chap.")] = None,
    password: Annotated[
        str | None, typer.Option("--password", metavar="TEXT", help=f"With pap and chap. [env: {PASSWORD_VARIABLE}]")
    ] = None,
    pin: Annotated[
        str | None,
        typer.Option("--pin", metavar="DIGITS", help=f"PIN of the SIM; empty: none. [env: {PIN_VARIABLE}]"),
    ] = None,
    roaming: Annotated[
        bool | None, typer.Option("--roaming/--no-roaming", help="Whether networks of other operators may be used.")
    ] = None,
) -> Shown:
    """Tell a device about its modem.

    What is not named stays. The session begins again. The SIM is asked with a PIN once: three wrong ones block it.
    """
    given: dict[str, Any] = {
        "accessPoint": access_point,
        "operator": operator,
        "authenticationType": authentication,
        "username": username,
        "password": secret_of(password, PASSWORD_VARIABLE),
        "pin": secret_of(pin, PIN_VARIABLE),
        "roaming": roaming,
    }
    body = {name: value for name, value in given.items() if value is not None}
    if not body:
        raise typer.BadParameter("name a setting, such as --access-point NAME")
    if pin is None and body.get("pin"):
        _check_not_refused(device)
    return record(device.call("PATCH", "cellular/config", body))


def _check_not_refused(device: AskedDevice) -> None:
    """ConflictError where a PIN was refused: a variable that stays set tries no wrong one until the SIM is blocked."""
    if device.get("cellular/config")["pinRefused"]:
        raise ConflictError(
            f"the SIM did not take its PIN, and {PIN_VARIABLE} would give it one again: nothing was changed",
            remedy="Look the PIN up. Then have the device forget the one before (--pin ''), and give the right one.",
        )
