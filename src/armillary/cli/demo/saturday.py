# SPDX-License-Identifier: Apache-2.0
"""The last act of the demo: an exploited vulnerability on a Saturday.

From the entry in a feed to the halted roll-out, the repaired devices and the first report to the authority. The same in
commands, one by one: ``docs/guides/exploited-vulnerability.md``.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, Final

from armillary.cli.demo.attacks import RELEASED
from armillary.cli.demo.machines import CABLES, FIRST_DEVICES, PRODUCTS, guardian
from armillary.cli.demo.os_updates import releases
from armillary.cli.demo.vulnerability import publish
from armillary.cli.guardian.story.site import Site
from armillary.cli.story.catalog import CATALOG, GROUP, confirmed, upload
from armillary.cli.story.playing import require
from armillary.cli.story.stage import Stage
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import segment
from armillary.content import example_vulnerability as vulnerability

COUNTRY: Final = "DE"
PRODUCT: Final = PRODUCTS[RELEASED]
# The roll-out that is under way rests this long after its first device: nobody hurries on a Saturday.
REST_S: Final = 3600
CASE_STAGE: Final = "24h"
# What a maker declares of a product on a quiet day.
FACTS: Final = (
    "--manufacturer", "Northwind", "--contact", "security@northwind.example", "--intended-use", "Charges vehicles.",
    "--placed-on-market", "2026-02-01", "--support-ends", "2031-12-31",
)  # fmt: skip


def learn_of_an_exploited_vulnerability(stage: Site) -> str:
    """A release goes out while a feed says that a part of it, and of the one before, is exploited."""
    stage.client.put(f"{_group()}/country", {"country": COUNTRY})
    stage.command("product", "update", "--catalog", CATALOG, "--product", PRODUCT, *FACTS)
    _declare(stage, stage.notes[RELEASED], vulnerability.PACKAGE, vulnerability.AFFECTED)
    for name in sorted(set(FIRST_DEVICES) - {RELEASED}):
        _declare(stage, stage.notes[name], name.replace("_", "-"), "1.0")
    running = next(each for each in releases(stage) if each["version"] == stage.notes["os_version"])
    stage.client.upload(
        f"/releases/{running['release_id']}/sbom", vulnerability.example_files(0)["os.cdx.json"], "application/json"
    )
    stage.notes["saturday"] = _begin_rollout(stage, _new_image(stage, vulnerability.AFFECTED))
    publish(stage)
    finding = stage.wait("the finding", lambda: _finding(stage))
    shown = stage.client.get(f"/advisories/{vulnerability.CVE}")
    affected = shown["devices"].get("affected", 0)
    require(affected == len(CABLES), f"{affected} devices are affected, expected {len(CABLES)}")
    return f"{finding['title']}: {affected} of {len(stage.devices)}, in {', '.join(shown['countries'])}"


def halt_what_spreads_it(stage: Stage) -> str:
    """A playbook halts the roll-out that brings the vulnerable part to more devices; nobody was awake."""
    path = f"/rollouts/{stage.notes['saturday']}"
    stage.wait("the halted roll-out", lambda: stage.client.get(path)["state"] == "held" or None)
    action = next(each for each in stage.client.get("/actions")["items"] if each["kind"] == "halt")
    require(bool(action["playbook"]), f"the roll-out was halted by {action['asked_by']}, expected a playbook")
    started = stage.client.get(f"{path}/devices")["items"]
    require(len(started) <= 1, f"{len(started)} of {len(CABLES)} devices were given it before it was halted")
    return f"playbook {action['playbook']} halted the roll-out after {len(started)} of {len(CABLES)} devices"


def become_aware(stage: Stage) -> str:
    """An operator reads the finding: the clocks of the Cyber Resilience Act begin."""
    case = stage.command(
        "case", "aware", "--advisory", vulnerability.ADVISORY, "--catalog", CATALOG, "--product", PRODUCT
    )  # fmt: skip
    stage.notes["case"] = case["case_id"]
    due = (f"{each['stage']} by {readable(each)['due_at']}" for each in case["stages"] if each["due_at"])
    return f"aware at {readable(case)['aware_at']}; reports are due: {', '.join(due)}"


def repair_the_affected(stage: Site) -> str:
    """The repaired image goes to the devices that the advisory affects, and to no others."""
    image_id = _new_image(stage, vulnerability.REPAIRED)
    body = {
        "kind": "deploy-fix",
        "target": {"advisory": vulnerability.ADVISORY},
        "reason": f"{vulnerability.CVE} is exploited",
        "policy": {"cohorts": [100], "soak_s": 0},
    }
    # Until the service has read what the new image is made of, none is known to be repaired.
    stage.wait("the repair", lambda: stage.client.post("/actions", body, catalog=CATALOG))
    for name in CABLES:
        device = stage.devices[name]
        stage.wait(f"{name} repaired", lambda device=device: confirmed(stage, device, image_id))  # type: ignore[misc]
    shown = stage.wait("no affected device", lambda: _repaired(stage))
    others = len(stage.devices) - len(CABLES)
    return f"{shown['devices']['fixed']} devices repaired ({shown['patched_percent']:g} %), {others} others left alone"


def draft_the_warning(stage: Stage) -> str:
    """The first report to the authority, written from what the service holds."""
    options = ["--stage", CASE_STAGE, "--catalog", CATALOG, "--output-file", stage.folder / "early-warning.txt"]
    draft = stage.command("case", "draft", stage.notes["case"], *options)
    held = [each for each in draft["fields"] if each["state"] == "present"]
    require(bool(held), "the draft has no field that is filled")
    gaps = len(draft["fields"]) - len(held)
    return f"early warning: {len(held)} of {len(draft['fields'])} fields filled with sources, {gaps} gaps named"


def show_what_can_be_proved(stage: Stage) -> str:
    """A dossier of the product verifies without the service, and one changed byte is found."""
    folder = stage.folder
    dossier = folder / "smart-cable.dossier"
    stage.command("dossier", "create", "--catalog", CATALOG, "--product", PRODUCT, "--output-file", dossier)
    key = ["--key", stage.command("dossier", "key")["verifier_key"]]
    verified = stage.command("dossier", "verify", dossier, *key)
    changed = folder / "changed.dossier"
    changed.write_bytes(_with_one_bit_changed(dossier))
    require("error: " in stage.refused("dossier", "verify", changed, *key), "a dossier with a changed bit was accepted")
    counts = ", ".join(f"{count} {state}" for state, count in verified["statements"].items())
    return f"{dossier.stat().st_size >> 10} KiB verified offline: {counts}; with one bit changed it is refused"


def _group() -> str:
    return f"/catalogs/{segment(CATALOG)}/products/{segment(PRODUCT)}/device-groups/{segment(GROUP)}"


def _declare(stage: Stage, image_id: uuid.UUID, package: str, version: str) -> None:
    """Say what an image is made of."""
    path = f"/catalogs/{segment(CATALOG)}/images/{image_id}/sbom"
    stage.client.upload(path, vulnerability.bill(package, version), "application/json")


def _new_image(stage: Site, version: str) -> uuid.UUID:
    """Build and upload the cable's guardian with a version of the part."""
    image = guardian(stage, RELEASED)
    upload(stage, image.package)
    _declare(stage, image.image_id, vulnerability.PACKAGE, version)
    return image.image_id


def _begin_rollout(stage: Stage, image_id: uuid.UUID) -> str:
    policy = {"cohorts": [1, 100], "soak_s": REST_S}
    body = {"catalog": CATALOG, "product": PRODUCT, "group": GROUP, "image_ids": [str(image_id)], "policy": policy}
    rollout_id: str = stage.client.post("/rollouts", body)["rollout_id"]
    return rollout_id


def _finding(stage: Stage) -> dict[str, Any] | None:
    """The finding about the advisory, once it says that it is exploited."""
    found = stage.client.get("/findings", kind="vulnerability-in-field")["items"]
    return next((each for each in found if each["severity"] == "critical"), None)


def _repaired(stage: Stage) -> dict[str, Any] | None:
    """The advisory, once no device is affected by it and all cables are known to be repaired."""
    shown: dict[str, Any] = stage.client.get(f"/advisories/{vulnerability.ADVISORY}")
    counts = shown["devices"]
    is_over = not counts.get("affected") and counts.get("fixed") == len(CABLES) and shown["patched_percent"] == 100
    return shown if is_over else None


def _with_one_bit_changed(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)
