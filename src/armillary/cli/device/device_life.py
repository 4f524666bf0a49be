# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary device`` for its life cycle: decommission, re-provision, transfer to another catalog."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable, readable_device, readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, ReasonOption, YesOption, confirm, in_catalog
from armillary.cli.terminal.times import ExpiresOption, seconds_of

TRANSFER_COLUMNS = ("transfer_id", "state", "from_catalog", "to_catalog", "device_id", "expires_at", "settled_by")

TransferOption = Annotated[str, typer.Option("--transfer-id", "--id", metavar="ID", help="Transfer id.")]


verbs = noun()
transfer = noun("Transfer of devices between catalogs.", within=verbs, name="transfer")


@remote_command(verbs, "decommission")
def _decommission(remote: RemoteService, device: DeviceOption, reason: ReasonOption, yes: YesOption = False) -> Shown:
    """Take a device out of service.

    It is refused and disconnected at once and belongs to nobody; its history stays. It comes back
    only by an enrolment that an operator allows.
    """
    confirm(f"Decommission device {device[:12]}...? Its owner loses it at once.", yes=yes)
    found = remote.post(f"/devices/{segment(device)}/decommission", {"reason": reason})
    return record(found, row=readable_of("device_id", "health", "decommissioned_at"))


@remote_command(verbs, "allow-reprovision")
def _allow_reprovision(remote: RemoteService, device: DeviceOption, expires: ExpiresOption = "1h") -> Shown:
    """Let a decommissioned device enrol again.

    It keeps its old key.

    On the device: armillary device recover, with an operator's or an enrolment token.
    """
    body = {"lifetime_s": seconds_of(expires)}
    return record(remote.post(f"/devices/{segment(device)}/allow-reprovision", body), row=_reprovision)


@remote_command(transfer, "offer")
def _offer(
    remote: RemoteService,
    device: DeviceOption,
    to_catalog: Annotated[
        str, typer.Option("--to-catalog", metavar="ID", help="Id of the new owner's catalog: tenantId in catalog show.")
    ],
    catalog: CatalogOption = None,
    expires: ExpiresOption = "7d",
) -> Shown:
    """Offer a device to another catalog.

    Nothing moves before that catalog accepts.
    """
    body = {"device_id": device, "to_catalog_id": to_catalog, "lifetime_s": seconds_of(expires)}
    return _transfer(remote.post(in_catalog(remote, catalog, "transfers"), body))


@remote_command(transfer, "accept")
def _accept(remote: RemoteService, transfer_id: TransferOption, catalog: CatalogOption = None) -> Shown:
    """Take a device that was offered to your catalog.

    It is in no device group until you assign it.
    """
    return _transfer(remote.post(in_catalog(remote, catalog, "transfers", transfer_id, "accept")))


@remote_command(transfer, "decline")
def _decline(remote: RemoteService, transfer_id: TransferOption, catalog: CatalogOption = None) -> Shown:
    """Refuse a device that was offered to your catalog."""
    return _transfer(remote.post(in_catalog(remote, catalog, "transfers", transfer_id, "decline")))


@remote_command(transfer, "cancel")
def _cancel(remote: RemoteService, transfer_id: TransferOption, catalog: CatalogOption = None) -> Shown:
    """Take back an offer that your catalog made."""
    return _transfer(remote.post(in_catalog(remote, catalog, "transfers", transfer_id, "cancel")))


@remote_command(transfer, "list")
def _list(
    remote: RemoteService,
    catalog: CatalogOption = None,
    pending: Annotated[bool, typer.Option("--pending", help="Only offers that can still be accepted.")] = False,
) -> Shown:
    """List offers from and to a catalog, newest first."""
    found = remote.pages(in_catalog(remote, catalog, "transfers"), pending="true" if pending else None)
    return table(found, TRANSFER_COLUMNS, row=readable_device, empty="No device was offered from or to this catalog.")


def _reprovision(found: dict[str, Any]) -> dict[str, Any]:
    return readable({"device_id": found["device_id"], "reprovision_until_at": found["reprovision_until"]})


def _transfer(transfer: dict[str, Any]) -> Shown:
    row = readable_of("transfer_id", "state", "device_id", "from_catalog", "to_catalog", "expires_at")
    accept = f"the new owner: armillary device transfer accept --catalog NAME --id {transfer['transfer_id']}"
    return record(transfer, row=row).then(accept if transfer["state"] == "offered" else None)
