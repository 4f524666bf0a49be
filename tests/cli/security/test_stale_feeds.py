# SPDX-License-Identifier: Apache-2.0
"""A feed is kept from the service until it is stale: nowhere does the service go on to say that something is good.

Every route, the console's pages and the commands that speak of vulnerabilities are asked twice: by a fresh feed, when
good words are there (the control), and by the same feed when it is stale. Whoever adds a route need not know of this
file: it walks them all, as far as their places are named here.
"""

from __future__ import annotations

import re
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.api.running_service import RunningService, application, own_service
from tests.cli.conftest import Command
from tests.console.plain_browser import Served, signed_in
from tests.service.advisories.fleet import KEY, bill, bundle, osv, pem_of

from armillary.api.app import SHAPES
from armillary.wire.device.checkin import InstalledImage

service = own_service(console=True)
NAME = "PYSEC-2026-1"
# Words that say something good of a vulnerability, as values or as keys with a number above 0.
GOOD = frozenset({"none-known", "fixed", "not-affected", "not_affected"})
# Routes that say something good by a fresh feed: if one is missing, nothing would have been looked at.
SAYING = {
    "advisories/{advisory_id}", "advisory-coverage", "devices/{device_id}/advisories/{advisory_id}",
    "catalogs/{catalog}/products/{product}/trace",
}  # fmt: skip
LEFT_OUT = ("/telemetry/stream", "/live", "/openapi.json")  # streams, and the words themselves
CURVE = re.compile(r"\.curve\[")


@pytest.fixture(scope="module")
def ids(service: RunningService) -> dict[str, str]:
    """A catalog whose device runs a repaired package, a feed that says so, a case and a dossier about it."""
    service.make_catalog("Contoso", product="Coffee")
    inner = service.service
    for each in inner.releases.list():
        inner.updates.bills.put_of_release(each.release_id, bill("pkg:pypi/flask@3.0.0"), actor="test")
    image_id, package = application("Tap")
    inner.updates.images.upload("Contoso", package, actor="test")
    inner.updates.bills.put_of_image("Contoso", image_id, bill("pkg:pypi/django@4.2.1"), actor="test")
    inner.advisories.keys.trust("packer", pem_of(KEY), actor="test")
    path = inner.context.folder.path / "feed"
    path.write_bytes(bundle([osv(NAME)], as_of=time.time() - 120))
    inner.advisories.import_bundle(path, actor="test")
    device = service.claimed("Contoso")
    installed = InstalledImage(component_id=uuid.uuid4(), image_id=image_id, image_type=10, name="Tap", state="running")
    device.installed = (installed,)
    device.check_in()
    while inner.advisories.look():
        pass
    about = {"kind": "exploited-vulnerability", "about": {"subject": "advisory", "id": NAME}}
    case = service.call("POST", "/api/v1/cases?catalog=Contoso", about)
    assert case.status == 201, case.body
    return {
        "catalog": "Contoso", "product": "Coffee", "device_group": "Production", "device_id": device.device_id,
        "image_id": str(image_id), "advisory_id": NAME, "feed_name": "osv-pypi", "case_id": case.body["case_id"],
        "release_id": str(inner.releases.list()[0].release_id),
    }  # fmt: skip


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document with its place, and every key with a number above 0."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, int) and not isinstance(inner, bool) and inner > 0:
                yield place, str(name)
            yield from leaves(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{place}[{number}]")
    elif isinstance(value, str):
        yield place, value


def good_of_the_api(service: RunningService, ids: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Route -> where it says something good."""
    found: dict[str, list[tuple[str, str]]] = {}
    for key in SHAPES.routes:
        method, template = key.split(" ", 1)
        places = re.findall(r"\{([a-z_]+)\}", template)
        is_asked = method == "GET" and template.startswith("/api/v1/") and not template.endswith(LEFT_OUT)
        if not is_asked or not set(places) <= ids.keys():
            continue
        for query in ("", "?state=fixed", "?state=not-affected", "?stage=72h", "?format=openvex&catalog=Contoso"):
            reply = service.call("GET", template.format(**ids) + query)
            if reply.status != 200 or "json" not in (reply.headers["content-type"] or ""):
                continue
            said = [(place, word) for place, word in leaves(reply.body) if word in GOOD]
            found.setdefault(template.removeprefix("/api/v1/"), []).extend(
                each for each in said if not CURVE.search(each[0])
            )
    return {template: said for template, said in found.items() if said}


COMMANDS = (
    ("advisory", "list"),
    ("advisory", "show", NAME),
    ("advisory", "affected", NAME, "--state", "fixed"),
    ("advisory", "coverage"),
    ("trace", "advisory", NAME),
    ("trace", "product", "-c", "Contoso", "-p", "Coffee"),
    ("status",),
)


def told(armillary: Command, ids: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """What the commands say."""
    of_device = ("advisory", "affected", NAME, "--device", ids["device_id"])
    found = {}
    for command in (*COMMANDS, of_device):
        answer = armillary(*command)
        assert answer.code == 0 or command == ("status",), (command, answer.err)
        found[command] = answer.out + answer.err
    return found


def pages(service: RunningService, ids: Mapping[str, str]) -> dict[str, str]:
    """The console's pages about advisories, without their tags."""
    context = ssl.create_default_context(cafile=str(service.root))
    browser = signed_in(cast("Served", SimpleNamespace(url=service.address, context=context)), service.token)
    found = {}
    for address in (
        "/advisories",
        f"/advisories/{NAME}",
        f"/advisories/{NAME}/devices?state=fixed",
        "/advisory-coverage",
    ):
        answer = browser.get(address)
        assert answer.status == 200, address
        found[address] = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text))
    return found


def test_by_a_stale_feed_nothing_good_is_said_anywhere(
    service: RunningService, armillary: Command, ids: dict[str, str]
) -> None:
    fresh, said, seen = good_of_the_api(service, ids), told(armillary, ids), pages(service, ids)
    assert fresh.keys() >= SAYING, "by a fresh feed good words are there"
    assert "none-known" in said["advisory", "coverage"]
    assert "fixed" in said["advisory", "affected", NAME, "--device", ids["device_id"]]
    assert "none known" in seen["/advisory-coverage"]
    assert ids["device_id"][:8] in seen[f"/advisories/{NAME}/devices?state=fixed"]

    service.service.advisories.set_max_age("osv-pypi", 60, actor="test")
    assert good_of_the_api(service, ids) == {}
    said, seen = told(armillary, ids), pages(service, ids)
    for command, text in said.items():
        words = set(re.findall(r"[a-z-]+", text.lower()))
        assert not words & {"none-known", "not-affected"}, (command, text)
        assert words & {"stale", "unknown"}, (command, text)
    assert "fixed" not in said["advisory", "affected", NAME, "--device", ids["device_id"]]
    assert "none known" not in seen["/advisory-coverage"]
    assert ids["device_id"][:8] not in seen[f"/advisories/{NAME}/devices?state=fixed"]
    for address, text in seen.items():
        assert re.search(r"\bstale\b|\bunknown\b|not known", text, re.IGNORECASE), (address, text[:500])
    device = service.call("GET", f"/api/v1/devices/{ids['device_id']}/advisories/{NAME}").body
    assert (device["state"], device["feeds"][0]["stale"]) == ("unknown", True)
