# SPDX-License-Identifier: Apache-2.0
"""``armillary device wifi``: Wi-Fi of a running device."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.device.attached.asking import HELP, AskedDevice, attached_command, secret_of
from armillary.cli.device.attached.network import switch
from armillary.cli.terminal.output import Shown, note, noun, record, table

NumberOption = Annotated[int, typer.Option("--id", min=0, metavar="NUMBER", help="Number of the network: wifi list.")]
PSK_VARIABLE = "ARMILLARY_WIFI_PSK"
RADIO = "wlan0"
UNCHECKED = "without --root-ca-cert-id the device believes any access point of that name"
COLUMNS = ("id", "ssid", "configState", "connectionState", "securityState", "configName")

app = noun(HELP)
wifi = noun("Wi-Fi of a running device.", within=app, name="wifi")


@attached_command(wifi, "list")
def _list(device: AskedDevice) -> Shown:
    """List the known networks."""
    found = device.get("wifi/config/networks")["values"]
    _warn(*found)
    return table(found, COLUMNS, empty="No network. Add one: armillary device wifi add")


@attached_command(wifi, "add")
def _add(
    device: AskedDevice,
    ssid: Annotated[str, typer.Option("--ssid", metavar="NAME", help="Name of the network.")],
    psk: Annotated[
        str | None,
        typer.Option("--psk", metavar="TEXT", help=f"Passphrase of a network that has one. [env: {PSK_VARIABLE}]"),
    ] = None,
    client_certificate: Annotated[
        str | None,
        typer.Option("--client-cert-id", metavar="ID", help="Client certificate of the store, for EAP-TLS."),
    ] = None,
    root_certificate: Annotated[
        str | None,
        typer.Option(
            "--root-ca-cert-id", metavar="ID", help="Certificate of the store that the network's must lead to."
        ),
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--client-id", metavar="TEXT", help="Identity for EAP-TLS, such as user@domain.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--config-name", metavar="TEXT", help="Name of one's own, 1 to 16 characters.")
    ] = None,
    targeted_scan: Annotated[
        bool, typer.Option("--targeted-scan", help="Look for it although it does not announce itself.")
    ] = False,
) -> Shown:
    """Know another network.

    It is open without a passphrase and a certificate.
    """
    secret = secret_of(psk, PSK_VARIABLE) if client_certificate is None else None
    security = "eaptls" if client_certificate is not None else "psk" if secret is not None else "open"
    given = {
        "psk": secret,
        "clientCertStoreIdentifier": client_certificate,
        "rootCaCertStoreIdentifier": root_certificate,
        "clientIdentity": identity,
        "configName": name,
    }
    body: dict[str, Any] = {"ssid": ssid, "securityState": security, "configState": "enabled"}
    body |= {key: value for key, value in given.items() if value is not None}
    body |= {"targetScan": True} if targeted_scan else {}
    made = device.call("POST", "wifi/config/networks", body)
    _warn(made)
    return record(made)


@attached_command(wifi, "show")
def _show(device: AskedDevice, number: NumberOption) -> Shown:
    """Show a known network."""
    found = device.get(f"wifi/config/networks/{number}")
    _warn(found)
    return record(found)


@attached_command(wifi, "enable")
def _enable(
    device: AskedDevice,
    number: Annotated[
        int | None, typer.Option("--id", min=0, metavar="NUMBER", help="Number of the network; the radio without it.")
    ] = None,
) -> Shown | None:
    """Use a known network, or switch the radio on."""
    if number is None:
        switch(device, RADIO, up=True)
        return None
    return record(device.call("PATCH", f"wifi/config/networks/{number}", {"configState": "enabled"}))


@attached_command(wifi, "disable")
def _disable(
    device: AskedDevice,
    number: Annotated[
        int | None, typer.Option("--id", min=0, metavar="NUMBER", help="Number of the network; the radio without it.")
    ] = None,
) -> Shown | None:
    """Do not use a known network, or switch the radio off."""
    if number is None:
        switch(device, RADIO, up=False)
        return None
    return record(device.call("PATCH", f"wifi/config/networks/{number}", {"configState": "disabled"}))


@attached_command(wifi, "forget")
def _forget(device: AskedDevice, number: NumberOption) -> None:
    """Forget a network."""
    device.call("DELETE", f"wifi/config/networks/{number}")
    note(f"network {number} is forgotten")


@attached_command(wifi, "scan")
def _scan(device: AskedDevice) -> Shown:
    """List the networks around the radio."""
    columns = ("ssid", "securityState", "signal_level", "freq", "bssid")
    return table(device.get("wifi/scan")["values"], columns, empty="No network is around.")


@attached_command(wifi, "show-status")
def _status(device: AskedDevice) -> Shown:
    """Show the state of the radio."""
    found = device.get("wifi/interface")
    _warn(found)
    return record(found)


@attached_command(wifi, "reload-config")
def _reload(device: AskedDevice) -> None:
    """Have the radio read its configuration again."""
    device.call("PATCH", "wifi/interface", {"reloadConfig": True})
    note("the configuration is read again")


def _warn(*networks: dict[str, Any]) -> None:
    """Say of which networks the device does not ask who they are."""
    for each in networks:
        if each.get("serverIsChecked") is False:
            note(f"warning: network {each['id']} ({each['ssid']}): {UNCHECKED}")
