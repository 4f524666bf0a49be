# SPDX-License-Identifier: Apache-2.0
"""The scenes that every guardian's story begins with: equipment, a device, the guardian's image, what the hub has."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.cli.guardian.story.pieces import (
    Piece,
    begin,
    image_of,
    packed,
    put_in_hub,
    register,
    reported_of,
    tell_all,
    values_of,
    wire,
)
from armillary.cli.guardian.story.site import GUARDIAN, Site
from armillary.cli.story.catalog import CATALOG, attested, claim, confirmed, deploy, make_catalog, upload
from armillary.cli.story.playing import require
from armillary.cli.terminal.output import counted
from armillary.content.equipment import load

PRODUCT: Final = "Guardian"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is on stage when a story begins."""

    pieces: tuple[Piece, ...]
    words: str  # what the pieces are, for people

    @property
    def machine(self) -> str:
        """The kind of its equipment."""
        return self.pieces[0].machine

    def start_the_service(self, stage: Site) -> str:
        """The whole service in one real process, a catalog with a product in it."""
        started = time.monotonic()
        stage.start_service()
        make_catalog(stage, [(PRODUCT, self.words)])
        return f"{stage.ready['api']} ready after {time.monotonic() - started:.1f} s, catalog {CATALOG}"

    def plug_in(self, stage: Site) -> str:
        """Simulated equipment on its real wires, and a device that is made for it."""
        for piece in self.pieces:
            begin(stage, piece, piece.name)
        for piece in self.pieces:
            tell_all(stage, piece, piece.name)
        stage.create_devices([GUARDIAN])
        device = stage.devices[GUARDIAN]
        wire(stage, device, {each.name: each for each in self.pieces})
        claim(stage, device, PRODUCT)
        stage.power_on(device)
        places = ", ".join(str(stage.where(each.name)["port"]) for each in self.pieces)
        return f"{self.words} ({places}), simulated, each says so; one device before it"

    def install(self, stage: Site) -> str:
        """The guardian's image: program, signed profile, and grants for this equipment and the hub; in the sandbox."""
        device = stage.devices[GUARDIAN]
        stage.wait("the device attested", lambda: attested(stage, device))
        made = image_of(stage, GUARDIAN, self.pieces)
        image = packed(stage, made.files)
        upload(stage, image.package)
        deploy(stage, PRODUCT, [image.image_id])
        stage.wait("the guardian running", lambda: confirmed(stage, device, image.image_id) or None)
        shown = stage.show(device)
        enforced = [mechanism for mechanism, state in shown["enforcement"] if state == "enforced"]
        stage.notes["weaker"] = [state for _, state in shown["enforcement"] if state != "enforced"]
        return (
            f"{len(image.package) >> 10} KiB with a signed profile; sandbox {shown['sandbox']} enforces "
            f"{len(enforced)} mechanisms; it may connect to {', '.join(made.connections)}"
        )

    def register(self, stage: Site) -> str:
        """Each piece is a module of the device in the hub, with the template that its profile makes."""
        template, kinds = put_in_hub(stage, self.machine)
        for piece in self.pieces:
            register(stage, stage.devices[GUARDIAN], piece, template)
        counts = ", ".join(counted(kinds.count(kind), kind) for kind in ("rule", "group", "dashboard"))
        return f"{counted(len(self.pieces), 'module')} of the device, template {template}, {counts}"

    def hear(self, stage: Site) -> str:
        """Every point of every piece arrives with its quality."""
        wanted = {each.name for each in load(self.machine).all_points} - {"simulated"}
        for piece in self.pieces:
            stage.wait(f"every point of {piece.name}", lambda piece=piece: wanted <= values(stage, piece.name).keys())  # type: ignore[misc]
        told = stage.wait("what it reports", lambda: reported(stage, self.pieces[0].name).get("simulated"))
        require(told is True, "the equipment does not say that it is simulated")
        each = "" if len(self.pieces) == 1 else f" of each of {len(self.pieces)}"
        return f"{len(wanted)} points{each}, live in the hub; the twin says that it is simulated"


def values(stage: Site, name: str) -> dict[str, Any]:
    """Last value of each metric of a piece of equipment."""
    return values_of(stage, stage.devices[GUARDIAN], name)


def reported(stage: Site, name: str | None) -> Mapping[str, Any]:
    """Reported properties of a piece of equipment; of the guardian itself without a name."""
    return reported_of(stage, stage.devices[GUARDIAN], name)


def raw_values(stage: Site, name: str, metric: str) -> list[tuple[int, Any]]:
    """Every kept value of a metric, with its time in milliseconds."""
    device = stage.devices[GUARDIAN].device_id
    end = int(time.time() * 1000) + 60_000
    query = {"metric": metric, "start_ms": 0, "end_ms": end, "limit": 10_000, "module": name}
    return [(int(at), value) for at, value in stage.client.get(f"/devices/{device}/telemetry/raw", **query)["items"]]


def alerts(stage: Site, rule: str) -> list[dict[str, Any]] | None:
    """Alerts of a rule; None while there is none."""
    found: list[dict[str, Any]] = stage.client.get("/alerts", rule=rule)["items"]
    return found or None
