# SPDX-License-Identifier: Apache-2.0
"""Image packages on their way up: the form, and what is in them before they are kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.form import Field, Form, Wrong, choices, limits
from armillary.console.frame.guard import SEVERAL_FILES
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, code, text
from armillary.console.frame.words import counted, joined, moment, short_id, size
from armillary.console.releases import pages_images
from armillary.console.releases.pages_images import NEW
from armillary.service.uploads.held_packages import HELD_S, MAX_PACKAGES, MAX_UPLOAD_BYTES

VERBS: Final = ("keep", "drop")
# What an application asks for, as its manifest's field -> what it lets the application do.
CAPABILITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "allowed_connections": "Connect to these hosts",
        "allowed_tcp_server_ports": "Listen on these TCP ports",
        "allowed_udp_server_ports": "Bind these UDP ports",
        "allowed_application_connections": "Talk to these applications on the device",
        "gpio": "Use these GPIO pins",
        "uart": "Use these serial ports",
        "i2c_master": "Use these I2C buses",
        "spi_master": "Use these SPI buses",
        "pwm": "Use these PWM controllers",
        "adc": "Use these analogue inputs",
        "i2s_subordinate": "Use these I2S ports",
        "mutable_storage_kb": "Keep data over restarts (KiB)",
        "power_controls": "Control power",
        "device_authentication": "Use the device's client certificate of this catalog",
        "cert_store": "Change the certificate store",
        "wifi_config": "Configure Wi-Fi",
        "enterprise_wifi_config": "Configure enterprise Wi-Fi",
        "network_config": "Configure the network",
        "read_network_proxy_config": "Read the proxy's configuration",
        "system_time": "Set the clock",
        "time_sync_config": "Configure time synchronisation",
        "system_event_notifications": "Hear of system events",
        "software_update_deferral": "Defer updates",
        "dhcp_service": "Serve DHCP",
        "sntp_service": "Serve SNTP",
        "hardware_address_config": "Set the hardware address",
        "reset_memory_watermarks": "Reset memory watermarks",
        "heap_mem_stats": "Read heap statistics",
    }
)


def place(catalog: str, held_id: str, group: str = "") -> str:
    """Where packages that are held are looked at."""
    where = "/".join([NEW, quote(catalog, safe=""), quote(held_id, safe="")])
    return where + (f"?{urlencode({'group': group})}" if group else "")


def upload_sheet(
    catalog: str, catalogs: Sequence[str], group: str, most: int, sent: Mapping[str, str], wrong: Wrong | None
) -> Sheet:
    """The form; ``most`` bytes is how large one package may be."""
    fields = (
        Field(
            name="catalog",
            label="Catalog",
            kind="select",
            value=sent.get("catalog", catalog),
            choices=choices(catalogs),
            required=True,
        ),
        Field(
            name=SEVERAL_FILES,
            label="Image packages: choose files, or drag them here",
            kind="file",
            required=True,
            hint=f"1 to {MAX_PACKAGES} files made by armillary image-package pack-application, each at most "
            f"{size(most)}, at most {size(MAX_UPLOAD_BYTES)} together",
            limits=limits(multiple="multiple"),
        ),
    )
    return Sheet(
        place="Images",
        heading="Upload images",
        title="Upload image packages",
        detail="You see who signed them and what they ask for before anything is kept.",
        crumbs=((f"Images of {catalog}", pages_images.list_href(catalog)), ("Upload", "")),
        forms=(
            Form(
                post=NEW,
                label="Upload and look",
                title="Files",
                fields=fields,
                hidden=(("group", group),) if group else (),
                error=wrong,
                primary=True,
                has_progress=True,
            ),
        ),
        within="updates",
    )


def held_sheet(
    catalog: str, held_id: str, items: Sequence[Mapping[str, Any]], group: str, now: int, wrong: Wrong | None
) -> Sheet:
    """What is in the packages that are held."""
    names = joined([each["name"] for each in items])
    here, more = place(catalog, held_id), (("group", group),) if group else ()
    again = "The files are sent again if you leave; they are held for"
    return Sheet(
        place="Images",
        heading="Look at the images",
        title=f"{names} for {catalog}: {'not kept yet' if len(items) == 1 else f'{len(items)} images, not kept yet'}.",
        detail=f"{again} {HELD_S // 60} minutes. Save adds {counted(len(items), 'image')} to the catalog; "
        "no device gets it before a roll-out or a deployment names it.",
        crumbs=((f"Images of {catalog}", pages_images.list_href(catalog)), ("Look", "")),
        notices=(("bad", f"{wrong[0]} {wrong[1]}"),) if wrong else (),
        buttons=(
            Button(label="Save and go on" if group else "Save", post=f"{here}/keep", fields=more, primary=True),
            Button(label="Discard", post=f"{here}/drop", fields=more),
        ),
        sections=tuple(section for each in items for section in (_package(each, now), _manifest(each))),
        within="updates",
    )


def _package(found: Mapping[str, Any], now: int) -> Section:
    signature = "proves nothing by itself: this service signs it anew when it is kept, and that is what devices trust"
    rows = (
        (text("Image id"), Cell(ident=short_id(found["image_id"]))),
        (text("Component id"), Cell(ident=short_id(found["component_id"]))),
        (text("For"), text(found["architecture"])),
        (text("Size"), text(size(found["size"]))),
        (text("Built"), Cell(at=moment(found["built_at"] or None, now), text="not said")),
        (text("Signed with key"), text(f"{found['signer']} ({found['algorithm']})", reason=signature)),
        (text("SHA-256"), Cell(ident=short_id(found["sha256"]))),
    )
    return Section(title=found["name"], columns=("What", "Value"), rows=rows, none="")


def _manifest(found: Mapping[str, Any]) -> Section:
    asked = found["capabilities"]
    title = f"What {found['name']} asks for"
    if asked is None:
        return Section(title=title, columns=(), rows=(), none="Nothing: it configures a board.")
    return Section(
        title=title,
        note=f"starts {found['entry_point']}; what is not listed it cannot do",
        columns=("It may", "Which"),
        rows=[
            (
                text(CAPABILITIES.get(name, name)),
                text("yes")
                if value is True
                else code(", ".join(map(str, value)) if isinstance(value, list) else value),
            )
            for name, value in asked.items()
        ],
        none="Nothing beyond running.",
    )
