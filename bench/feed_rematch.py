# SPDX-License-Identifier: Apache-2.0
"""A whole feed into a running service with 5,000 images: from the signed bundle to every pair written, and what waits.

Feed and images are those of ``feed_match``, in a service with its records on disk. The bundle is imported as from the
command line: signature, digest, steps of 200 records, each held against all components, 50 in a commit. Meanwhile
somebody writes as check-ins do, one change after the other through the same writer: how long the slowest of a hundred
waits is the second result.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.records.queries import findings as finding_rows
from armillary.service.advisories.listed import listed_of
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.wire.advisory.bundle import BundleStatement, pack_records, seal
from bench import feed_match
from bench.result import result

LIMIT_S = 60.0
# A check-in is answered within 2 s at worst (SPECIFICATION, chapter Numbers); a tenth of it may be an import's.
WAIT_LIMIT_S = 0.2
PAUSE_S = 0.005


def run() -> list[dict[str, object]]:
    """Seconds by the clock of an import, and the wait of the 99th of 100 changes meanwhile."""
    source = random.Random(feed_match.SEED)
    feed, images = feed_match.feed_of(source), feed_match.images_of(source)
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        service = SecurityService.open(Settings(data=Path(folder, "data")))
        with contextlib.closing(sqlite3.connect(service.context.folder.database)) as connection:
            distinct = _describe(connection, images)
        bundle = Path(folder, "bundle")
        bundle.write_bytes(_bundle(service, feed))
        with _writing(service) as waits:
            begun = time.perf_counter()
            service.advisories.import_bundle(bundle, actor="bench")
            spent = time.perf_counter() - begun
        pairs = service.context.records.read(
            lambda c: c.exec_driver_sql("SELECT count(*) FROM component_advisory").scalar_one()
        )
        service.context.records.close()
    waited = sorted(waits)[int(len(waits) * 0.99) - 1]
    conditions = (
        f"{len(feed)} advisories, {len(images)} images of {feed_match.COMPONENTS} of {distinct} components, {pairs} "
        "pairs of component and advisory written; records on disk"
    )
    others = f"{len(waits)} changes during the import, one after the other; the slowest waited {max(waits):.2f} s"
    return [
        result("feed-rematch", spent, "s", ("limit", LIMIT_S), conditions),
        result("feed-rematch-wait", waited, "s, p99", ("limit", WAIT_LIMIT_S), others),
    ]


def _describe(connection: sqlite3.Connection, images: Sequence[Sequence[str]]) -> int:
    """What reading the images' bills of materials leaves in the records; how many components that are."""
    numbers: dict[str, int] = {}
    for purl in (each for image in images for each in image):
        numbers.setdefault(purl, len(numbers) + 1)
    rows = [(number, *_component(purl, number)) for purl, number in numbers.items()]
    connection.executemany(
        "INSERT INTO component (component_id, digest, ecosystem, release, package, version, purl, unassessed, compared)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
        rows,
    )
    contents = [(each + 1, sha256(b"%d" % each).digest(), feed_match.COMPONENTS) for each in range(len(images))]
    connection.executemany("INSERT INTO bill_content VALUES (?, ?, ?, 0, '', 1)", contents)
    parts = {(numbers[purl], place) for place, image in enumerate(images, 1) for purl in image}
    connection.executemany("INSERT INTO bill_component VALUES (?, ?)", sorted(parts))
    connection.commit()
    return len(rows)


def _component(purl: str, number: int) -> tuple[object, ...]:
    row = listed_of(purl).row
    names = ("ecosystem", "release", "package", "version", "purl", "unassessed")
    return (number.to_bytes(32, "big"), *(row[name] for name in names))


def _bundle(service: SecurityService, feed: Sequence[bytes]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    service.advisories.keys.trust("bench", key.public_key().public_bytes(*form).decode(), actor="bench")
    packed, count = pack_records(feed)
    ecosystems = sorted({each["package"]["ecosystem"] for line in feed for each in json.loads(line)["affected"]})
    statement = BundleStatement(
        feed="bench", kind="osv", source_url="bench", as_of=int(time.time()), sha256=sha256(packed).digest(),
        records=count, size=len(packed), ecosystems=tuple(ecosystems),
    )  # fmt: skip
    return seal(statement, packed, key)


@contextlib.contextmanager
def _writing(service: SecurityService) -> Iterator[list[float]]:
    """Somebody changes a row again and again; how long each change took."""
    waits: list[float] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(PAUSE_S):
            begun = time.perf_counter()
            service.context.records.write(lambda c: finding_rows.set_position(c, "bench", len(waits)))
            waits.append(time.perf_counter() - begun)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
