# SPDX-License-Identifier: Apache-2.0
"""How long it takes from one advisory's record to the devices that it affects among 1,000,000, with everything written.

A real service with its records on disk: a million devices in one group run 5,000 images (Zipf: the first image has a
tenth of them), each with a bill of materials of 150 of 19,000 packages. Each advisory comes as a signed bundle of its
own and is imported: signature, digest, commits, pairs with components. Then who is affected is asked: their number and
the first 1,000 of them. Both are timed together, by the clock.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, insert, text

from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.schema import advisory_tables, schema
from armillary.engines.records.schema.rows import Image
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.wire.advisory.bundle import BundleStatement, pack_records, seal
from bench.registry import REGISTERED, copy_registry
from bench.result import result

IMAGES: Final = 5_000
PACKAGES: Final = 19_000
COMPONENTS: Final = 150
ADVISORIES: Final = 100
PAGE: Final = 1_000
LIMIT_S: Final = 1.0
SEED: Final = 11


def run() -> list[dict[str, object]]:
    """The 99th percentile of the time from a record to its devices."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        copy_registry(Path(folder, "data"))
        service = SecurityService.open(Settings(data=Path(folder, "data")))
        print(f"  giving {IMAGES} images {COMPONENTS} components each", file=sys.stderr)
        numbers = random.Random(SEED)
        images = [uuid4() for _ in range(IMAGES)]
        service.context.records.write(lambda c: _describe(c, images, numbers))
        service.context.records.write(lambda c: _install(c, images))
        begun = time.perf_counter()
        while service.advisories.running.look():
            pass
        walked = time.perf_counter() - begun
        with contextlib.closing(sqlite3.connect(service.context.folder.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # what was filled in is no import's work
        times, devices = zip(*_answers(service, Path(folder), numbers), strict=True)
        service.context.records.close()
    worst = sorted(times)[int(len(times) * 0.99) - 1]
    conditions = (
        f"{REGISTERED} devices, {IMAGES} images of {COMPONENTS} of {PACKAGES} packages, {ADVISORIES} advisories one by "
        f"one; median {sorted(times)[len(times) // 2] * 1000:.0f} ms; up to {max(devices)} devices affected, the first "
        f"{PAGE} listed; all devices taken in in {walked:.1f} s"
    )
    return [result("advisory-join", worst, "s, p99", ("limit", LIMIT_S), conditions)]


def _describe(connection: Connection, images: list[UUID], numbers: random.Random) -> None:
    """Images, their bills of materials, and what these list, as reading them has it."""
    owner = connection.execute(text("SELECT catalog_id FROM catalog")).scalar_one()
    rows = [
        {"component_id": each + 1, "digest": each.to_bytes(32, "big"), "ecosystem": "PyPI", "release": "",
         "package": f"package-{each}", "version": "1.0", "purl": f"pkg:pypi/package-{each}@1.0", "unassessed": "",
         "compared": True}
        for each in range(PACKAGES)
    ]  # fmt: skip
    connection.execute(insert(advisory_tables.component), rows)
    shares = _shares(PACKAGES)
    contents, parts, bills = [], [], []
    for place, image_id in enumerate(images, 1):
        digest = sha256(image_id.bytes).digest()
        contents.append({"content_id": place, "sha256": digest, "components": COMPONENTS, "unassessed": 0, "fault": "",
                         "read_at": 1})  # fmt: skip
        chosen = set(numbers.choices(range(PACKAGES), cum_weights=shares, k=COMPONENTS * 2))
        parts += [{"component_id": each + 1, "content_id": place} for each in sorted(chosen)[:COMPONENTS]]
        bills.append({"catalog_id": UUID(owner), "image_id": image_id, "sha256": digest, "size": 1,
                      "spec_version": "1.6", "components": COMPONENTS, "added_at": 1, "added_by": "bench"})  # fmt: skip
        image_rows.add(connection, _image(UUID(owner), image_id))
    for table, values in (
        (advisory_tables.bill_content, contents),
        (advisory_tables.bill_component, parts),
        (schema.bill_of_materials, bills),
    ):
        connection.execute(insert(table), values)


def _shares(count: int) -> list[float]:
    """Zipf's: how often each of so many is chosen, summed up."""
    return list(accumulate(1 / (1 + each) for each in range(count)))


def _image(catalog_id: UUID, image_id: UUID) -> Image:
    return Image(
        image_id=image_id,
        catalog_id=catalog_id,
        component_id=image_id,
        image_type=10,
        name="kettle",
        size=1,
        sha256=sha256(image_id.bytes).digest(),
        built_at=1,
        architecture="armv7",
        allowed_connections=(),
        regional_data_boundary="None",
        uploaded_at=1,
        uploaded_by="bench",
    )


def _install(connection: Connection, images: list[UUID]) -> None:
    """Each device says that it runs one image: the first images have most of the devices."""
    share = REGISTERED / sum(1 / (1 + each) for each in range(len(images)))
    first = 1
    for place, image_id in enumerate(images):
        last = min(REGISTERED, first + max(1, int(share / (1 + place)))) if place < len(images) - 1 else REGISTERED
        installed = json.dumps([[str(image_id), str(image_id), 10, "kettle", "running"]])
        statement = "UPDATE device_status SET installed = :installed WHERE device_number BETWEEN :a AND :b"
        connection.execute(text(statement), {"installed": installed, "a": first, "b": last})
        first = last + 1


def _answers(service: SecurityService, folder: Path, numbers: random.Random) -> Iterator[tuple[float, int]]:
    """Import one advisory after the other; seconds of each, and how many devices it affects."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    service.advisories.keys.trust("bench", key.public_key().public_bytes(*form).decode(), actor="bench")
    chosen = numbers.choices(range(PACKAGES), cum_weights=_shares(PACKAGES), k=ADVISORIES)
    for number, package in enumerate(chosen):
        path = folder / "bundle"
        path.write_bytes(_bundle(number, package, key))
        begun = time.perf_counter()
        service.advisories.import_bundle(path, actor="bench")
        page = service.advisories.answers.devices(f"BENCH-{number}", limit=PAGE)
        yield time.perf_counter() - begun, int(page["count"])


def _bundle(number: int, package: int, key: ec.EllipticCurvePrivateKey) -> bytes:
    record: dict[str, Any] = {
        "id": f"BENCH-{number}",
        "modified": "2026-11-01T00:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": f"package-{package}"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
            }
        ],
    }
    packed, count = pack_records([json.dumps(record).encode()])
    statement = BundleStatement(
        feed=f"bench-{number}", kind="osv", source_url="bench", as_of=int(time.time()), sha256=sha256(packed).digest(),
        records=count, size=len(packed), ecosystems=("PyPI",),
    )  # fmt: skip
    return seal(statement, packed, key)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
