# SPDX-License-Identifier: Apache-2.0
"""``armillary device network``: interfaces, firewall rules and the proxy of a running device."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from armillary.cli.device.attached.asking import HELP, AskedDevice, attached_command, plain_segment, secret_of
from armillary.cli.terminal.output import Shown, note, noun, record, table

InterfaceOption = Annotated[str, typer.Option("--interface", metavar="NAME", help="Interface, such as eth0.")]
PASSWORD_VARIABLE = "ARMILLARY_PROXY_PASSWORD"  # noqa: S105 - its name
INTERFACE_COLUMNS = (
    "interfaceName", "interfaceUp", "connectedToNetwork", "ipAcquired", "connectedToInternet", "ipAddresses",
    "hardwareAddress",
)  # fmt: skip
RULE_COLUMNS = ("hook", "action", "protocol", "destination", "ports", "connections", "component_id")

app = noun(HELP)
network = noun("Network of a running device.", within=app, name="network")
proxy = noun("The proxy that a device was told.", within=network, name="proxy")


@attached_command(network, "show-status")
def _status(device: AskedDevice) -> Shown:
    """Show whether applications can authenticate."""
    return record(device.get("net/status"))


@attached_command(network, "list-interfaces")
def _interfaces(device: AskedDevice) -> Shown:
    """List the interfaces."""
    return table(device.get("net/interfaces")["interfaces"], INTERFACE_COLUMNS, empty="No interface.")


@attached_command(network, "list-firewall-rules")
def _rules(device: AskedDevice) -> Shown:
    """List what applications may reach and be reached at."""
    rulesets = device.get("net/firewall/rulesets")["rulesets"]
    rows = [_rule(ruleset["hook"], rule) for ruleset in rulesets for rule in ruleset["rules"]]
    return Shown(rulesets, table(rows, RULE_COLUMNS, empty="").print_text)


@attached_command(network, "show-diagnostics")
def _diagnostics(device: AskedDevice) -> Shown:
    """Show known Wi-Fi networks that fail, and why."""
    found = device.get("wifi/diagnostics/networks")["values"]
    return table(found, ("id", "ssid", "securityState", "error"), empty="No network fails.")


@attached_command(network, "enable")
def _enable(device: AskedDevice, interface: InterfaceOption) -> None:
    """Switch an interface on, now and at every start.

    The device must have been started with --rest ADDRESS and --rest-interface NAME (armillary
    device boot).
    """
    switch(device, interface, up=True)


@attached_command(network, "disable")
def _disable(device: AskedDevice, interface: InterfaceOption) -> None:
    """Switch an interface off, now and at every start.

    The device must have been started with --rest ADDRESS and --rest-interface NAME (armillary
    device boot).
    """
    switch(device, interface, up=False)


def switch(device: AskedDevice, interface: str, *, up: bool) -> None:
    """Switch an interface and say so."""
    device.call("PATCH", f"net/interfaces/{plain_segment(interface)}", {"interfaceUp": up})
    note(f"{interface} is {'on' if up else 'off'}")


@attached_command(proxy, "show")
def _show_proxy(device: AskedDevice) -> Shown:
    """Show the proxy, without its password."""
    found = device.get("net/proxy")
    return record(found) if found else Shown(found, lambda: note("no proxy"))


@attached_command(proxy, "apply")
def _apply_proxy(
    device: AskedDevice,
    address: Annotated[str, typer.Option("--address", metavar="HOST", help="Host name or address.")],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, metavar="PORT", help="Port.")],
    authentication: Annotated[
        Literal["anonymous", "basic"], typer.Option("--authentication", help="How the device signs in.")
    ] = "anonymous",
    no_proxy: Annotated[
        list[str] | None,
        typer.Option("--no-proxy-address", metavar="HOST", help="Reached without it. Repeatable."),
    ] = None,
    username: Annotated[str | None, typer.Option("--username", metavar="TEXT", help="With basic.")] = None,
    password: Annotated[
        str | None, typer.Option("--password", metavar="TEXT", help=f"With basic. [env: {PASSWORD_VARIABLE}]")
    ] = None,
    disabled: Annotated[bool, typer.Option("--disable", help="Keep it without using it.")] = False,
) -> Shown:
    """Tell a device its proxy.

    From then on its connections to the service, and to mirrors, go through it.
    """
    if authentication != "basic" and (username is not None or password is not None):
        raise typer.BadParameter("--username and --password go with --authentication basic")
    body: dict[str, Any] = {
        "enabled": not disabled,
        "address": address,
        "port": port,
        "noProxyAddresses": no_proxy or [],
        "authenticationType": authentication,
    }
    if authentication == "basic":
        body |= {"username": username or "", "password": secret_of(password, PASSWORD_VARIABLE) or ""}
    device.call("POST", "net/proxy", body)
    return record(device.get("net/proxy"))


@attached_command(proxy, "enable")
def _enable_proxy(device: AskedDevice) -> Shown:
    """Have a device use the proxy that it was told."""
    return record(device.call("PATCH", "net/proxy", {"enabled": True}))


@attached_command(proxy, "disable")
def _disable_proxy(device: AskedDevice) -> Shown:
    """Have a device connect directly, and keep the proxy."""
    return record(device.call("PATCH", "net/proxy", {"enabled": False}))


@attached_command(proxy, "delete")
def _delete_proxy(device: AskedDevice) -> None:
    """Have no proxy."""
    device.call("DELETE", "net/proxy")
    note("no proxy")


def _rule(hook: str, rule: dict[str, Any]) -> dict[str, Any]:
    ports = rule["destinationPortRange"]
    whole = (ports["min"], ports["max"]) == (0, 65535)
    anywhere = rule["destinationMask"] == "0.0.0.0"  # noqa: S104 - an address of the form, nothing listens
    return {
        "hook": hook,
        "action": rule["action"],
        "protocol": rule["protocol"],
        "destination": rule.get("destinationName") or ("any" if anywhere else rule["destinationIP"]),
        "ports": "any" if whole else str(ports["min"]),
        "connections": rule["packets"],
        "component_id": rule.get("componentId", "any"),
    }
