# SPDX-License-Identifier: Apache-2.0
"""How long it takes from one advisory's record to the devices that it affects among 1,000,000, with everything written.

A real service with its records on disk: a million devices in one group run 5,000 images (Zipf: the first image has a
tenth of them), each with a bill of materials of 150 of 19,000 packages. Each advisory comes as a signed bundle of its
own and is imported: signature, digest, commits, pairs with components. Then who is affected is asked: their number and
the first 1,000 of them. Both are timed together, by the clock. At the end the draft of a notice is made.
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
from sqlalchemy import Connection

from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.schema.rows import Image
from armillary.regulation.clocks import EXPLOITED
from armillary.regulation.draft import as_document
from armillary.service.assemble import SecurityService
from armillary.service.cases.cases import Said
from armillary.service.cases.subjects import Subject
from armillary.settings import Settings
from armillary.wire.advisory.bundle import BundleStatement, pack_records, seal
from bench.registry import PLACE, REGISTERED, copy_registry
from bench.result import result

IMAGES: Final = 5_000
PACKAGES: Final = 19_000
COMPONENTS: Final = 150
ADVISORIES: Final = 60
PAGE: Final = 1_000
LIMIT_S: Final = 1.0
DRAFT_LIMIT_S: Final = 60.0
SEED: Final = 11


def run() -> list[dict[str, object]]:
    """The 99th percentile of the time from a record to its devices."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        data = Path(folder, "data")
        copy_registry(data)
        service, numbers = SecurityService.open(Settings(data=data)), random.Random(SEED)
        print(f"  giving {IMAGES} images {COMPONENTS} components each", file=sys.stderr)
        images = [uuid4() for _ in range(IMAGES)]
        service.context.records.write(lambda c: _add_images(c, images))
        with contextlib.closing(sqlite3.connect(service.context.folder.database)) as connection:
            _describe(connection, images, numbers)
            _install(connection, images)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was filled in is no import's work
        times, devices = zip(*_answers(service, Path(folder), numbers), strict=True)
        drafted = _drafted(service, devices.index(max(devices)))
        service.context.records.close()
    worst = sorted(times)[int(len(times) * 0.99)]
    conditions = (
        f"{REGISTERED} devices, {IMAGES} images of {COMPONENTS} of {PACKAGES} packages, {ADVISORIES} advisories one by "
        f"one; median {sorted(times)[len(times) // 2] * 1000:.0f} ms; up to {max(devices)} devices affected, the first "
        f"{PAGE} listed"
    )
    about = (
        f"about the {max(devices)} of {REGISTERED} devices that the widest of these advisories affects, by the clock"
    )
    return [
        result("advisory-join", worst, "s, p99", ("limit", LIMIT_S), conditions),
        result("case-draft", drafted, "s", ("limit", DRAFT_LIMIT_S), f"the 72 h notice of a case, {about}"),
    ]


def _add_images(connection: Connection, images: list[UUID]) -> None:
    owner = UUID(connection.exec_driver_sql("SELECT catalog_id FROM catalog").scalar_one())
    rows = [
        Image(
            image_id=each,
            catalog_id=owner,
            component_id=each,
            image_type=10,
            name="kettle",
            size=1,
            sha256=sha256(each.bytes).digest(),
            built_at=1,
            architecture="armv7",
            allowed_connections=(),
            regional_data_boundary="None",
            uploaded_at=1,
            uploaded_by="bench",
        )
        for each in images
    ]
    for each in rows:
        image_rows.add(connection, each)


def _describe(connection: sqlite3.Connection, images: list[UUID], numbers: random.Random) -> None:
    """The images' bills of materials, and what these list, as reading them has it."""
    (owner,) = connection.execute("SELECT catalog_id FROM catalog").fetchone()
    components = [
        (each + 1, each.to_bytes(32, "big"), f"package-{each}", f"pkg:pypi/package-{each}@1.0")
        for each in range(PACKAGES)
    ]
    connection.executemany(
        "INSERT INTO component (component_id, digest, ecosystem, release, package, version, purl, unassessed, compared)"
        " VALUES (?, ?, 'PyPI', '', ?, '1.0', ?, '', 1)",
        components,
    )
    shares = _shares(PACKAGES)
    contents, parts, bills = [], [], []
    for place, image_id in enumerate(images, 1):
        digest = sha256(image_id.bytes).digest()
        contents.append((place, digest, COMPONENTS))
        chosen = set(numbers.choices(range(PACKAGES), cum_weights=shares, k=COMPONENTS * 2))
        parts += [(each + 1, place) for each in sorted(chosen)[:COMPONENTS]]
        bills.append((owner, image_id.hex, digest, COMPONENTS))
    connection.executemany("INSERT INTO bill_content VALUES (?, ?, ?, 0, '', 1)", contents)
    connection.executemany("INSERT INTO bill_component VALUES (?, ?)", sorted(parts))
    connection.executemany(
        "INSERT INTO bill_of_materials (catalog_id, image_id, sha256, size, spec_version, components, added_at,"
        " added_by) VALUES (?, ?, ?, 1, '1.6', ?, 1, 'bench')",
        bills,
    )
    connection.commit()


def _shares(count: int) -> list[float]:
    """Zipf's: how often each of so many is chosen, summed up."""
    return list(accumulate(1 / (1 + each) for each in range(count)))


def _install(connection: sqlite3.Connection, images: list[UUID]) -> None:
    """Each device runs one image, and that is known: the first images have most of the devices."""
    chip, os_version, group = connection.execute(
        "SELECT s.chip, s.os_version, k.group_id FROM device_software k JOIN software_set s USING (set_id) LIMIT 1"
    ).fetchone()
    connection.execute("DELETE FROM device_software")
    connection.execute("DELETE FROM software_count")
    share = REGISTERED / sum(1 / (1 + each) for each in range(len(images)))
    first = 1
    for place, image_id in enumerate(images):
        last = min(REGISTERED, first + max(1, int(share / (1 + place)))) if place < len(images) - 1 else REGISTERED
        installed = json.dumps([[str(image_id), str(image_id), 10, "kettle", "running"]])
        made = connection.execute(
            "INSERT INTO software_set (digest, attested, chip, os_version, installed) VALUES (?, 1, ?, ?, ?)",
            (image_id.bytes, chip, os_version, installed),
        ).lastrowid
        connection.execute("INSERT INTO software_part (set_id, image_id) VALUES (?, ?)", (made, image_id.hex))
        devices = connection.execute(
            "INSERT INTO device_software (device_number, group_id, set_id)"
            " SELECT number, ?, ? FROM device WHERE number BETWEEN ? AND ?",
            (group, made, first, last),
        ).rowcount
        connection.execute("INSERT INTO software_count VALUES (?, ?, ?)", (made, group, devices))
        first = last + 1
    connection.commit()


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


def _drafted(service: SecurityService, number: int) -> float:
    """Seconds from being aware of an advisory to the whole draft of its notice."""
    said, begun = Said(kind="aware", subject=Subject("advisory", f"BENCH-{number}")), time.perf_counter()
    case = service.casework.cases.aware(EXPLOITED, said, catalog=PLACE[0], actor="bench")
    as_document(service.casework.drafts.make(case.row.case_id, "72h"))
    return time.perf_counter() - begun


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
