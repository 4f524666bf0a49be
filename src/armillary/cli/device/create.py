# SPDX-License-Identifier: Apache-2.0
"""``armillary device create``: makes a device. It loads what a factory needs, and nothing that a device runs with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.device.here import devices_here
from armillary.cli.device.pinned_root import pinned
from armillary.cli.terminal.connection import CA_VARIABLE, TOKEN_VARIABLE, resolve
from armillary.cli.terminal.device_options import ChipOption, DataOption, SandboxName, StateName
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import note, record
from armillary.cli.terminal.remote import CaOption, RemoteService, ServiceOption, connect
from armillary.device.boot.provision import Factory, provision
from armillary.device.state.layout import DeviceFolder
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import ArmillaryError
from armillary.identity.manufacturing import state_named

app = devices_here()

RootOfTrustName = Literal["software", "tpm2"]


@app.command("create")
def create(
    data: DataOption,
    service: ServiceOption = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="TOKEN", help=f"Of an operator, or an enrolment token. [env: {TOKEN_VARIABLE}]"
        ),
    ] = None,
    ca: CaOption = None,
    chip: ChipOption = "mt3620",
    root_of_trust: Annotated[
        RootOfTrustName, typer.Option("--root-of-trust", help="What keeps the device's secret.")
    ] = "software",
    sandbox: Annotated[SandboxName, typer.Option("--sandbox", help="What contains its applications.")] = "linux",
    tpm: Annotated[
        str | None, typer.Option("--tpm", metavar="TPM", help="With tpm2: such as device:/dev/tpmrm0.")
    ] = None,
    manufacturing_state: Annotated[
        StateName, typer.Option("--manufacturing-state", help="State it is made in; it only moves forward.")
    ] = "DeviceComplete",
    root_sha256: Annotated[
        str | None,
        typer.Option(
            "--root-sha256",
            metavar="HEX",
            help="Instead of --ca: fetch the service's root certificate from it, if its SHA-256 is this one.",
        ),
    ] = None,
    boot: Annotated[
        bool, typer.Option("--boot", help="Then be the device, until Ctrl-C, as armillary device boot.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a device in a new folder.

    Makes its secret, gets its identity certificate and its OS from the service. The token is an
    operator's, or an enrolment token: then the device is claimed as well. A creation that was cut
    short is continued by the same command. With --boot a device that the folder holds already is
    booted, and nothing is made.
    """
    if boot and DeviceFolder(data).is_finished():
        note(f"{data} holds a device already: it boots")
        _be_device(data, as_json=as_json)
        return
    if root_sha256 is not None and ca is not None:
        raise typer.BadParameter("--ca and --root-sha256 both name the service's root certificate: leave one out")
    if root_of_trust == "tpm2" and manufacturing_state != "DeviceComplete":
        raise typer.BadParameter("a device with a TPM is made DeviceComplete: leave --manufacturing-state out")
    folder = DeviceFolder(data)
    with _reach(service, token, ca, root_sha256) as remote, _saying_what_stays(folder):
        configuration = provision(
            folder,
            chip=chip,
            root_of_trust=root_of_trust,
            sandbox=sandbox,
            operator_api=remote.address,
            factory=factory_of(remote, manufacturing_state),
            tpm=tpm,
            state=state_named(manufacturing_state),
            tpm_factory=lambda route, body: remote.post(f"/factory/{route}", body),
        )
    if root_of_trust == "tpm2":
        note("Its key is in the TPM: trust tier tpm. What that proves: docs/concepts/roots-of-trust.md.")
    else:
        note("Its secret is a file on this host: trust tier software, not hardware.")
    for sentence in open_sandbox(sandbox).self_test().weaker:
        note(f"weaker sandbox: {sentence}")
    facts = {name: getattr(configuration, name) for name in ("device_id", "chip", "os_version")}
    record({**facts, "data": str(data)}).show(as_json=as_json)
    if boot:
        _be_device(data, as_json=as_json)


def _reach(service: str | None, token: str | None, ca: Path | None, root_sha256: str | None) -> RemoteService:
    """The service; one that is known by its root certificate's SHA-256 is asked for that first, without the token."""
    if root_sha256 is None:
        return connect(service, token, ca)
    others = {name: value for name, value in os.environ.items() if name != CA_VARIABLE}
    return RemoteService(pinned(resolve(service, token, None, others), root_sha256))


@contextlib.contextmanager
def _saying_what_stays(folder: DeviceFolder) -> Iterator[None]:
    try:
        yield
    except ArmillaryError:
        if folder.begun_with() is not None:
            note(f"{folder.root} keeps what was begun: the same command goes on with it")
        raise


def _be_device(data: Path, *, as_json: bool) -> None:
    from armillary.cli.device.own_process import be_device  # noqa: PLC0415 - what a device runs with, for --boot only

    be_device(data, as_json=as_json)


def factory_of(remote: RemoteService, state: StateName = "DeviceComplete") -> Factory:
    """The factory of a service, for devices that are made in this state."""

    def manufacture(csr: str, chip: str) -> Any:
        body = {"csr": csr, "chip": chip}
        if state != "DeviceComplete":
            body["manufacturing_state"] = state
        return remote.post("/factory/devices", body)

    return manufacture
