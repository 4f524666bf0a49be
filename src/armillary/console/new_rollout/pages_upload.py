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
from armillary.console.frame.words import counted, grouped, joined, moment, short_id, size
from armillary.console.language.say import say, say_count
from armillary.console.releases import pages_images
from armillary.console.releases.pages_images import NEW
from armillary.service.uploads.held_packages import HELD_S, MAX_PACKAGES, MAX_UPLOAD_BYTES
from armillary.wire.image.naming import VERSION_LENGTH

VERBS: Final = ("keep", "drop")
# Name of the field with the version of an image.
VERSION: Final = "version_"
# What an application asks for, as its manifest's field -> what it lets the application do.
CAPABILITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "allowed_connections": say("Connect to these hosts"),
        "allowed_tcp_server_ports": say("Listen on these TCP ports"),
        "allowed_udp_server_ports": say("Bind these UDP ports"),
        "allowed_application_connections": say("Talk to these applications on the device"),
        "gpio": say("Use these GPIO pins"),
        "uart": say("Use these serial ports"),
        "i2c_master": say("Use these I2C buses"),
        "spi_master": say("Use these SPI buses"),
        "pwm": say("Use these PWM controllers"),
        "adc": say("Use these analogue inputs"),
        "i2s_subordinate": say("Use these I2S ports"),
        "mutable_storage_kb": say("Keep data over restarts (KiB)"),
        "power_controls": say("Control power"),
        "device_authentication": say("Use the device's client certificate of this catalog"),
        "cert_store": say("Change the certificate store"),
        "wifi_config": say("Configure Wi-Fi"),
        "enterprise_wifi_config": say("Configure enterprise Wi-Fi"),
        "network_config": say("Configure the network"),
        "read_network_proxy_config": say("Read the proxy's configuration"),
        "system_time": say("Set the clock"),
        "time_sync_config": say("Configure time synchronisation"),
        "system_event_notifications": say("Hear of system events"),
        "software_update_deferral": say("Defer updates"),
        "dhcp_service": say("Serve DHCP"),
        "sntp_service": say("Serve SNTP"),
        "hardware_address_config": say("Set the hardware address"),
        "reset_memory_watermarks": say("Reset memory watermarks"),
        "heap_mem_stats": say("Read heap statistics"),
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
            label=say("Catalog"),
            kind="select",
            value=sent.get("catalog", catalog),
            choices=choices(catalogs),
            required=True,
        ),
        Field(
            name=SEVERAL_FILES,
            label=say("Image packages: choose files, or drag them here"),
            kind="file",
            required=True,
            hint=say(
                "1 to {max_packages} files made by armillary image-package pack-application, each at most "
                "{most}, at most {max_upload_bytes} together",
                max_packages=MAX_PACKAGES,
                most=size(most),
                max_upload_bytes=size(MAX_UPLOAD_BYTES),
            ),
            limits=limits(multiple="multiple"),
        ),
    )
    return Sheet(
        place=say("Images"),
        heading=say("Upload images"),
        title=say("Upload image packages"),
        detail=say("You see who signed them and what they ask for before anything is kept."),
        crumbs=((say("Images of {catalog}", catalog=catalog), pages_images.list_href(catalog)), (say("Upload"), "")),
        forms=(
            Form(
                post=NEW,
                label=say("Upload and look"),
                title=say("Files"),
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
    catalog: str,
    held_id: str,
    items: Sequence[Mapping[str, Any]],
    group: str,
    now: int,
    wrong: Wrong | None,
    sent: Mapping[str, str],
) -> Sheet:
    """What is in the packages that are held; ``sent`` is what was typed."""
    told = {"names": joined([each["name"] for each in items]), "catalog": catalog, "count": grouped(len(items))}
    here, more = place(catalog, held_id), (("group", group),) if group else ()
    return Sheet(
        place=say("Images"),
        heading=say("Look at the images"),
        title=say_count(
            len(items),
            "{names} for {catalog}: not kept yet.",
            "{names} for {catalog}: {count} images, not kept yet.",
            **told,
        ),
        detail=say(
            "The files are sent again if you leave; they are held for {minutes} minutes. Save adds {images} to the "
            "catalog; no device gets it before a roll-out or a deployment names it.",
            minutes=HELD_S // 60,
            images=counted(len(items), "image"),
        ),
        crumbs=((say("Images of {catalog}", catalog=catalog), pages_images.list_href(catalog)), (say("Look"), "")),
        buttons=(Button(label=say("Discard"), post=f"{here}/drop", fields=more),),
        forms=(
            Form(
                post=f"{here}/keep",
                label=say("Save and go on") if group else say("Save"),
                title=say("Save"),
                about=say("the packages do not say their version; an empty one is unknown"),
                fields=tuple(_version(each, sent) for each in items),
                hidden=more,
                error=wrong,
                primary=True,
            ),
        ),
        sections=tuple(section for each in items for section in (_package(each, now), _manifest(each))),
        within="updates",
    )


def _version(found: Mapping[str, Any], sent: Mapping[str, str]) -> Field:
    name = f"{VERSION}{found['image_id']}"
    return Field(
        name=name,
        label=say("Version of {image}", image=found["name"]),
        value=sent.get(name, ""),
        limits=limits(maxlength=VERSION_LENGTH),
    )


def _package(found: Mapping[str, Any], now: int) -> Section:
    signature = say(
        "proves nothing by itself: this service signs it anew when it is kept, and that is what devices trust"
    )
    rows = (
        (text(say("Image id")), Cell(ident=short_id(found["image_id"]))),
        (text(say("Component id")), Cell(ident=short_id(found["component_id"]))),
        (text(say("For")), text(found["architecture"])),
        (text(say("Size")), text(size(found["size"]))),
        (text(say("Built")), Cell(at=moment(found["built_at"] or None, now), text=say("not said"))),
        (text(say("Signed with key")), text(f"{found['signer']} ({found['algorithm']})", reason=signature)),
        (text(say("SHA-256")), Cell(ident=short_id(found["sha256"]))),
    )
    return Section(title=found["name"], columns=(say("What"), say("Value")), rows=rows, none="")


def _manifest(found: Mapping[str, Any]) -> Section:
    asked = found["capabilities"]
    title = say("What {name} asks for", name=found["name"])
    if asked is None:
        return Section(title=title, columns=(), rows=(), none=say("Nothing: it configures a board."))
    return Section(
        title=title,
        note=say("starts {entry_point}; what is not listed it cannot do", entry_point=found["entry_point"]),
        columns=(say("It may"), say("Which")),
        rows=[
            (
                text(CAPABILITIES.get(name, name)),
                text(say("yes"))
                if value is True
                else code(", ".join(map(str, value)) if isinstance(value, list) else value),
            )
            for name, value in asked.items()
        ],
        none=say("Nothing beyond running."),
    )
