# SPDX-License-Identifier: Apache-2.0
"""Bills of materials that were made to hurt, over the real API: one clear error and nothing kept, or honestly unknown."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.api.running_service import RunningService, application, own_service
from tests.service.advisories.fleet import KEY, bundle, osv, pem_of

from armillary.service.advisories import listed
from armillary.wire.image.bill_of_materials import MAX_BYTES, MAX_DEPTH

service = own_service("Contoso")
CYCLONEDX = {"content-type": "application/vnd.cyclonedx+json"}
SPDX = {
    "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "x", "documentNamespace": "https://x",
    "dataLicense": "CC0-1.0", "creationInfo": {"created": "2026-11-01T00:00:00Z", "creators": ["Tool: x"]},
}  # fmt: skip
# What sockets may hold beside what the service reads before it refuses.
SOCKETS_BYTES = 24 << 20


@pytest.fixture
def place(service: RunningService) -> str:
    """The path of the bill of a fresh image."""
    image_id, package = application()
    service.service.updates.images.upload("Contoso", package, actor="test")
    return f"/api/v1/catalogs/Contoso/images/{image_id}/sbom"


def bill(*components: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components, **more}).encode()


def library(purl: str, **more: Any) -> dict[str, Any]:
    return {"type": "library", "name": "x", "purl": purl, **more}


def nested(depth: int) -> bytes:
    inner = library("pkg:pypi/x@1")
    for _ in range(depth):
        inner = library("pkg:pypi/x@1", components=[inner])
    return bill(inner)


def versions(count: int) -> bytes:
    """As many versions of one source package, under as many names."""
    return bill(*(library(f"pkg:deb/debian/x{n}@1?upstream=linux%40{n}&distro=debian-12") for n in range(count)))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "versions of one package": lambda: versions(listed.MAX_VERSIONS + 1),
    "components in components": lambda: nested(MAX_DEPTH + 2),
    "brackets": lambda: b'{"a":' * 100_000,
    "lists": lambda: b"[" * 200_000,
    "a key twice": lambda: b'{"bomFormat":"CycloneDX","specVersion":"1.6","specVersion":"1.5","components":[]}',
    "no number": lambda: b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":NaN}',
    "a huge number": lambda: b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":1' + b"0" * 100_000 + b"}",
    "not UTF-8": lambda: b'{"bomFormat":"CycloneDX","specVersion":"1.6","x":"\xff"}',
    "half a character": lambda: b'{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"\\ud800"}]}',
    "cut off": lambda: bill(library("pkg:pypi/x@1"))[:-3],
    "one id twice": lambda: json.dumps({**SPDX, "packages": [{"SPDXID": "SPDXRef-a", "name": "a"}] * 2}).encode(),
    "a name of a megabyte": lambda: bill({"type": "library", "name": "x" * (1 << 20)}),
    "nothing of it": lambda: b"PK\x03\x04" + bytes(1000),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_bill_is_one_clear_error_and_nothing_is_kept(service: RunningService, place: str, what: str) -> None:
    refused = service.call("POST", place, HOSTILE[what](), headers=CYCLONEDX)
    assert refused.status == 400, refused.raw[:200]
    assert refused.body["code"]
    assert 20 < len(refused.body["detail"]) < 600
    assert len(refused.body["remedy"]) > 10
    assert service.call("GET", place).status == 404


def test_as_many_versions_as_there_may_be_are_kept(service: RunningService, place: str) -> None:
    """The honest case: the limit itself, and components as deep as they may be."""
    assert service.call("POST", place, versions(listed.MAX_VERSIONS), headers=CYCLONEDX).status == 200
    assert service.call("POST", place, nested(MAX_DEPTH - 1), headers=CYCLONEDX).status == 200


def test_mutation_without_the_limit_of_versions(
    service: RunningService, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "MAX_VERSIONS", 1 << 30)
    assert service.call("POST", place, versions(2_000), headers=CYCLONEDX).status == 200


def test_what_is_odd_is_unknown_and_never_good(service: RunningService, place: str) -> None:
    """Package URLs that are none, and graphs that go round: it is a bill, and its parts cannot be judged."""
    advisories = service.service.advisories
    if not advisories.feeds():
        advisories.keys.trust("packer", pem_of(KEY), actor="test")
        path = service.service.context.folder.path / "feed"
        path.write_bytes(bundle([osv("PYSEC-2026-1")], as_of=time.time()))
        advisories.import_bundle(path, actor="test")
    odd = (
        "pkg:",
        "pkg:pypi",
        "pkg:pypi/%ff@1",
        "pkg:pypi/x@" + "9" * 5000,
        "not a purl",
        "pkg:pypi/x",
    )
    around = {"dependencies": [{"ref": "a", "dependsOn": ["b"]}, {"ref": "b", "dependsOn": ["a"]}]}
    made = service.call("POST", place, bill(*map(library, odd), **around), headers=CYCLONEDX)
    assert made.status == 200, made.body
    while advisories.look():
        pass
    image_id = place.split("/")[-2]
    (found,) = (one for one in advisories.answers.coverage("Contoso") if one["id"] == image_id)
    assert (found["state"], found["not_assessed"]) == ("not-assessed", len(odd))
    shown = advisories.answers.show("PYSEC-2026-1", "Contoso")["artifacts"]
    assert [one["state"] for one in shown if one["id"] == image_id] == ["unknown"]


def test_an_spdx_document_whose_packages_contain_each_other_is_read(service: RunningService, place: str) -> None:
    ids = ("SPDXRef-a", "SPDXRef-b")
    packages = [{"SPDXID": each, "name": each, "versionInfo": "1"} for each in ids]
    around = [
        {"spdxElementId": one, "relationshipType": "CONTAINS", "relatedSpdxElement": other}
        for one, other in (ids, ids[::-1])
    ]
    document = json.dumps({**SPDX, "packages": packages, "relationships": around}).encode()
    assert service.call("POST", place, document, headers=CYCLONEDX).status == 200


@pytest.mark.parametrize("framing", ["announced", "chunked"])
def test_a_hundred_megabytes_are_refused_before_they_are_read(
    service: RunningService, place: str, framing: str
) -> None:
    """By what is announced, or once more than a bill may have has come."""
    connection, sent = service.connection(), 0
    connection.connect()
    head = f"POST {place} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.token}\r\n"
    length = f"Content-Length: {100 << 20}" if framing == "announced" else "Transfer-Encoding: chunked"
    connection.sock.sendall(f"{head}Content-Type: application/json\r\n{length}\r\n\r\n".encode())
    connection.sock.settimeout(30)
    answer = b""
    for piece in _chunks() if framing == "chunked" else ():
        connection.sock.sendall(piece)
        sent += len(piece)
        connection.sock.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            answer = connection.sock.recv(4096)
        connection.sock.settimeout(30)
        if answer:
            break
    answer = answer or connection.sock.recv(4096)
    connection.close()
    assert answer.startswith(b"HTTP/1.1 413"), answer[:100]
    assert sent < MAX_BYTES + SOCKETS_BYTES
    assert service.call("GET", place).status == 404


def _chunks() -> Iterator[bytes]:
    piece = b'{"bomFormat": "CycloneDX"' + b" " * (1 << 20)
    for _ in range(100):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
