# SPDX-License-Identifier: Apache-2.0
"""Plays a fleet for tests of advisories: images with bills of materials, devices that run them, feeds that are signed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, text
from tests.fixtures.clocks import Clock
from tests.fixtures.images import manifest, package

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema.advisory_rows import FeedEdition
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.wire.advisory.bundle import MAGIC, PURPOSE, BundleStatement, pack_records, seal
from armillary.wire.encoding import cbor, cose

HOUR_S = 3600
STEPS = "INSERT OR IGNORE INTO appraisal_steps (steps_id, digest, document) VALUES (1, x'00', '[]')"
STATUS = (
    "UPDATE device_status SET verdict = :verdict, checked_in_at = :now, os_version = :os, installed = :installed"
    " WHERE device_number = (SELECT number FROM device WHERE device_id = :id)"
)
CHECK_IN = (
    "INSERT INTO check_in (device_number, at, verdict, steps_id, boot_count, os_version, certificate_serial,"
    " certificate_not_after, purpose, challenge_id, challenge_expires_at) SELECT number, :now, :verdict, 1, 1, :os, '00',"
    " :now, 'client', :challenge, :now FROM device WHERE device_id = :id"
)
KEY = ec.derive_private_key(11, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(12, ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form).decode()


def osv(
    name: str,
    package_name: str = "django",
    *,
    fixed: str = "3.2.13",
    ecosystem: str = "PyPI",
    score: str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    **more: Any,
) -> dict[str, Any]:
    """A record of OSV: every version of a package before the fixed one is affected."""
    return {
        "id": name,
        "modified": "2026-11-01T00:00:00Z",
        "summary": f"{package_name} has a fault",
        "severity": [{"type": "CVSS_V3", "score": score}],
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": package_name},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
            }
        ],
        **more,
    }


def bill(*purls: str, extra: Iterable[Mapping[str, Any]] = ()) -> bytes:
    """A bill of materials in CycloneDX of these packages."""
    components = [{"type": "library", "name": one.partition("@")[0].rpartition("/")[2], "purl": one} for one in purls]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [*components, *extra]}).encode()


def bundle(
    given: Iterable[Any],
    /,
    *,
    as_of: float,
    key: ec.EllipticCurvePrivateKey = KEY,
    feed: str = "osv-pypi",
    kind: str = "osv",
    ecosystems: tuple[str, ...] = ("PyPI",),
    **changes: Any,
) -> bytes:
    """A signed bundle; ``changes`` are of its statement, before it is signed."""
    packed, number = pack_records(json.dumps(each).encode() for each in given)
    statement = BundleStatement(
        feed=feed,
        kind=kind,
        source_url="https://osv.example/all.zip",
        as_of=int(as_of),
        sha256=sha256(packed).digest(),
        records=number,
        size=len(packed),
        ecosystems=ecosystems,
    )
    if not changes:
        return seal(statement, packed, key)
    return _sealed_lie(replace(statement, **changes), packed, key)


def _sealed_lie(statement: BundleStatement, packed: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A bundle whose statement its author signs whatever the records are."""
    payload = cbor.encode(
        {
            1: 1, 2: statement.feed, 3: statement.kind, 4: statement.source_url, 5: statement.as_of,
            6: statement.sha256, 7: statement.records, 8: statement.size, 9: list(statement.ecosystems),
        }
    )  # fmt: skip
    signed = cose.encode_sign1(payload, key, external_aad=PURPOSE)
    return MAGIC + len(signed).to_bytes(4, "big") + signed + packed


@contextlib.contextmanager
def opened(data: Path, clock: Clock) -> Iterator[SecurityService]:
    """A service that nobody can connect to."""
    service = SecurityService.open(Settings(data=data), clock=clock)
    try:
        yield service
    finally:
        asyncio.run(service.close())


class AdvisoryFleet:
    """A service with feeds and devices; everything is the catalog Contoso's unless said otherwise."""

    def __init__(self, service: SecurityService, folder: Path, clock: Clock) -> None:
        self.service = service
        self.advisories = service.advisories
        self.clock = clock
        self._folder = folder
        self._numbers = count(1)
        self.component = uuid4()
        known = [each for each in self.advisories.keys.list() if each.name == "packer"]
        self.key = known[0] if known else self.advisories.keys.trust("packer", pem_of(KEY), actor="anna")

    # -- feeds ------------------------------------------------------------------------------------------------------

    def file(self, content: bytes) -> Path:
        path = self._folder / f"bundle-{next(self._numbers)}"
        path.write_bytes(content)
        return path

    def feed(self, *records: Any, age_s: int = 0, **statement: Any) -> FeedEdition:
        """Import a feed of these records, as of now."""
        content = bundle(records, as_of=self.clock() - age_s, **statement)
        return self.advisories.import_bundle(self.file(content), actor="anna")

    def exploited(self, *cves: str) -> FeedEdition:
        """Import a catalogue of known exploited vulnerabilities."""
        entries = [
            {"cveID": each, "vendorProject": "v", "product": "p", "vulnerabilityName": "n", "dateAdded": "2026-11-20",
             "dueDate": "2026-12-11"} for each in cves
        ]  # fmt: skip
        document = {"catalogVersion": "1", "dateReleased": "2026-11-20T00:00:00Z", "count": len(entries)}
        return self.feed({**document, "vulnerabilities": entries}, feed="kev", kind="kev", ecosystems=())

    # -- what devices run -------------------------------------------------------------------------------------------

    def image(self, *purls: str, catalog: str = "Contoso", document: bytes | None = None) -> UUID:
        """Upload an application with a bill of materials; without packages and document it has none."""
        image_id = uuid4()
        packed = package(manifest("tap", self.component), image_id=image_id)
        self.service.updates.images.upload(catalog, packed, actor="anna")
        if purls or document is not None:
            self.service.updates.bills.put_of_image(catalog, image_id, document or bill(*purls), actor="anna")
        return image_id

    def release_bill(self, *purls: str) -> UUID:
        """Give every release of the chip a bill of materials; the id of the one that devices boot."""
        found = self.service.releases.list(chip="mt3620")
        for each in found:
            document = bill(*(purls or ("pkg:generic/none@1",)))
            self.service.updates.bills.put_of_release(each.release_id, document, actor="anna")
        return next(each.release_id for each in found if each.feed == "Retail")

    def device(self, *images: UUID, catalog: str = "Contoso", group: str = "Production") -> str:
        """A device that has checked in with these images; its id."""
        product = "Kettle" if catalog == "Contoso" else "Pump"
        device_id = f"{next(self._numbers):0128x}"
        values = {"chip": "mt3620", "chip_sku": "x", "trust_tier": "software", "manufacturing_state": "DeviceComplete"}
        now = int(self.clock())
        self.service.context.records.write(lambda c: device_rows.enrol(c, device_id=device_id, now=now, **values))
        self.service.registry.devices.claim(catalog, [device_id], product=product, group=group, actor="anna")
        return self.runs(device_id, *images)

    def runs(self, device_id: str, *images: UUID, verdict: str = "attested") -> str:
        """Have a device check in with these images, and the service look. What a check-in writes is written here."""
        release = next(each for each in self.service.releases.list(chip="mt3620") if each.feed == "Retail")
        installed = json.dumps([[str(self.component), str(each), 10, "tap", "running"] for each in images])
        values = {
            "id": device_id,
            "verdict": verdict,
            "now": int(self.clock()),
            "os": release.version,
            "installed": installed,
            "challenge": f"{next(self._numbers):032x}",
        }

        def check_in(connection: Connection) -> None:
            connection.execute(text(STEPS))
            connection.execute(text(STATUS), values)
            connection.execute(text(CHECK_IN), values)

        self.service.context.records.write(check_in)
        self.advisories.look()
        return device_id

    # -- what is asked ----------------------------------------------------------------------------------------------

    def show(self, name: str, catalog: str | None = "Contoso") -> dict[str, Any]:
        return self.advisories.answers.show(name, catalog)

    def affected(self, name: str, catalog: str | None = "Contoso", **how: Any) -> list[str]:
        """Ids of the devices that an advisory affects, over all pages."""
        found: list[str] = []
        after = None
        while True:
            page = self.advisories.answers.devices(name, catalog, after=after, **how)
            found += [each["device_id"] for each in page["items"]]
            after = page["next"]
            if after is None:
                assert page["count"] == len(found)
                return sorted(found)

    def states(self, name: str, catalog: str | None = "Contoso") -> dict[str, int]:
        return self.show(name, catalog)["devices"]
