# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary device`` for its life cycle: decommission, re-provision, transfer to another catalog."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.duration import ExpiresOption, seconds_of
from armillary.cli.terminal.output import JsonOption, note, noun, print_record, print_table
from armillary.cli.terminal.readable import readable, readable_device
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, ReasonOption, YesOption, confirm, in_catalog

TRANSFER_COLUMNS = ("transfer_id", "state", "from_catalog", "to_catalog", "device_id", "expires_at", "settled_by")

TransferOption = Annotated[str, typer.Option("--transfer-id", "--id", metavar="ID", help="Transfer id.")]


verbs = noun()
transfer = noun("Transfer of devices between catalogs.", within=verbs, name="transfer")


@remote_command(verbs, "decommission")
def _decommission(
    remote: RemoteService,
    device: DeviceOption,
    reason: ReasonOption,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a device out of service.

    It is refused and disconnected at once and belongs to nobody; its history stays. It comes back
    only by an enrolment that an operator allows.
    """
    confirm(f"Decommission device {device[:12]}...? Its owner loses it at once.", yes=yes)
    found = remote.post(f"/devices/{segment(device)}/decommission", {"reason": reason})
    _print_device(found, ("device_id", "health", "decommissioned_at"), as_json=as_json)


@remote_command(verbs, "allow-reprovision")
def _allow_reprovision(
    remote: RemoteService, device: DeviceOption, expires: ExpiresOption = "1h", as_json: JsonOption = False
) -> None:
    """Let a decommissioned device enrol again.

    It keeps its old key.

    On the device: armillary device recover, with an operator's or an enrolment token.
    """
    body = {"lifetime_s": seconds_of(expires)}
    found = remote.post(f"/devices/{segment(device)}/allow-reprovision", body)
    shown = {**found, "reprovision_until_at": found["reprovision_until"]}
    if as_json:
        print_record(found, as_json=True)
    else:
        print_record(readable({name: shown[name] for name in ("device_id", "reprovision_until_at")}), as_json=False)


@remote_command(transfer, "offer")
def _offer(
    remote: RemoteService,
    device: DeviceOption,
    to_catalog: Annotated[
        str, typer.Option("--to-catalog", metavar="ID", help="Id of the new owner's catalog: tenantId in catalog show.")
    ],
    catalog: CatalogOption = None,
    expires: ExpiresOption = "7d",
    as_json: JsonOption = False,
) -> None:
    """Offer a device to another catalog.

    Nothing moves before that catalog accepts.
    """
    body = {"device_id": device, "to_catalog_id": to_catalog, "lifetime_s": seconds_of(expires)}
    _print_transfer(remote.post(in_catalog(remote, catalog, "transfers"), body), as_json=as_json)


@remote_command(transfer, "accept")
def _accept(
    remote: RemoteService, transfer_id: TransferOption, catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Take a device that was offered to your catalog.

    It is in no device group until you assign it.
    """
    _say(remote, catalog, transfer_id, "accept", as_json=as_json)


@remote_command(transfer, "decline")
def _decline(
    remote: RemoteService, transfer_id: TransferOption, catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Refuse a device that was offered to your catalog."""
    _say(remote, catalog, transfer_id, "decline", as_json=as_json)


@remote_command(transfer, "cancel")
def _cancel(
    remote: RemoteService, transfer_id: TransferOption, catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Take back an offer that your catalog made."""
    _say(remote, catalog, transfer_id, "cancel", as_json=as_json)


@remote_command(transfer, "list")
def _list(
    remote: RemoteService,
    catalog: CatalogOption = None,
    pending: Annotated[bool, typer.Option("--pending", help="Only offers that can still be accepted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List offers from and to a catalog, newest first."""
    found = remote.pages(in_catalog(remote, catalog, "transfers"), pending="true" if pending else None)
    empty = "No device was offered from or to this catalog."
    print_table(found, TRANSFER_COLUMNS, row=readable_device, as_json=as_json, empty=empty)


def _say(remote: RemoteService, catalog: str | None, transfer_id: str, verb: str, *, as_json: bool) -> None:
    path = in_catalog(remote, catalog, "transfers", transfer_id, verb)
    _print_transfer(remote.post(path), as_json=as_json)


def _print_transfer(transfer: dict[str, Any], *, as_json: bool) -> None:
    names = ("transfer_id", "state", "device_id", "from_catalog", "to_catalog", "expires_at")
    _print_device(transfer, names, as_json=as_json)
    if not as_json and transfer["state"] == "offered":
        note(f"the new owner: armillary device transfer accept --catalog NAME --id {transfer['transfer_id']}")


def _print_device(found: dict[str, Any], names: tuple[str, ...], *, as_json: bool) -> None:
    print_record(found if as_json else readable({name: found[name] for name in names}), as_json=as_json)
