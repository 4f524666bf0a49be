# SPDX-License-Identifier: Apache-2.0
"""Attacks by deltas, on a device and on other tenants; beside each the same attack without the check that stops it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from uuid import uuid4

import pytest
import zstandard
from tests.fixtures.images import manifest, package
from tests.fixtures.reports import installed
from tests.fixtures.waiting import wait_until
from tests.update.delta.pairs import delta, digest, edited, reconstruct, text

from armillary.engines.delta import zstd
from armillary.errors import DeltaError
from armillary.service.updates.deltas import Deltas
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import Answer
from armillary.update.delta.reconstruction import Reconstruction
from armillary.wire.update import delta as wire
from armillary.wire.update.delta import (
    MAX_SEGMENT_BYTES,
    MAX_WINDOW_BYTES,
    DeltaHeader,
    DeltaParser,
    Segment,
    SourceRange,
    encode_header,
    encode_segment,
)

OLD = text(1, 50_000)
GOOD = edited(OLD, 2, 3)
EVIL = GOOD[:-4] + b"evil"
HERE = ("Contoso", "Kettle", "Production")


def forged(made: bytes, promised: bytes, source: bytes = OLD) -> bytes:
    """A delta that makes one thing and says that it makes another."""
    honest = delta(source, made)
    header = encode_header(DeltaHeader(digest(source), digest(promised), int.from_bytes(honest[86:90], "big")))
    return header + honest[len(header) :]


def test_other_software_than_was_signed_is_refused() -> None:
    with pytest.raises(DeltaError, match="expected an artifact with SHA-256"):
        reconstruct(OLD, forged(EVIL, GOOD), digest(GOOD))


def test_mutation_of_the_signed_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reconstruction, "finish", lambda self: self._target)
    assert reconstruct(OLD, forged(EVIL, GOOD), digest(GOOD)) == EVIL


def bomb() -> bytes:
    """Some kilobytes that say they make 4 MiB, and make 128."""
    compressor = zstandard.ZstdCompressor().compressobj(size=128 << 20)
    payload = b"".join([compressor.compress(bytes(1 << 20)) for _ in range(128)]) + compressor.flush()
    target = bytes(MAX_SEGMENT_BYTES)
    header = encode_header(DeltaHeader(digest(OLD), digest(target), 1))
    return header + encode_segment(Segment(MAX_SEGMENT_BYTES, (), payload), len(OLD))


def memory_for(attack: bytes) -> int:
    """Bytes that a device takes at most until it refuses."""
    target = digest(bytes(MAX_SEGMENT_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(DeltaError):
            reconstruct(OLD, attack, target)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_takes_no_memory() -> None:
    assert memory_for(bomb()) < MAX_SEGMENT_BYTES


def test_mutation_of_the_length_of_a_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(payload: bytes, window: Callable[[], bytes], size: int) -> bytes:
        return zstandard.ZstdDecompressor().decompress(payload)

    monkeypatch.setattr(zstd, "decompress", believing)
    monkeypatch.setattr("tests.update.delta.pairs.decompress", believing)
    assert memory_for(bomb()) > 128 << 20


def busy() -> bytes:
    """Half a megabyte of target whose segments read 8 MiB of source for each 4 KiB: 1 GiB of flash in all."""
    window = (SourceRange(0, MAX_WINDOW_BYTES),)
    payload = zstd.compress(bytes(4096), b"", level=1)
    segments = [Segment(4096, window, payload)] * 128
    source = digest(bytes(MAX_WINDOW_BYTES))
    header = encode_header(DeltaHeader(source, digest(bytes(4096 * 128)), len(segments)))
    return header + b"".join(encode_segment(segment, source.size) for segment in segments)


def segments_until_refused(data: bytes) -> int:
    parser, found = DeltaParser(), 0
    for at in range(0, len(data), 64):
        found += len(parser.feed(data[at : at + 64]))
    return found


def test_a_small_delta_keeps_no_device_busy() -> None:
    with pytest.raises(DeltaError, match="windows of 8 times the target's size"):
        segments_until_refused(busy())


def test_mutation_of_the_bytes_that_windows_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_READ_FACTOR", 1 << 20)
    assert segments_until_refused(busy()) == 128


def reads_of_a_foreign_delta() -> int:
    """How much flash a device reads for the right delta of another source."""
    reads: list[int] = []

    def read(offset: int, size: int) -> bytes:
        reads.append(size)
        return OLD[offset : offset + size]

    made = Reconstruction(digest(OLD), digest(GOOD), read=read, decompress=zstd.decompress, write=lambda _: None)
    with pytest.raises(DeltaError):
        made.feed(delta(OLD + b"x", GOOD))
    return sum(reads)


def test_a_delta_from_another_source_is_refused_before_anything_is_read() -> None:
    assert reads_of_a_foreign_delta() == 0


def test_mutation_of_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reconstruction, "_check_names", lambda _: None)
    assert reads_of_a_foreign_delta() >= len(OLD)


def overlap(host: ServiceHost) -> tuple[int, bytes]:
    """What a device of one catalog learns of an image of another: the answer to a request for a delta from it."""
    service = host.service
    service.registry.catalogs.create("Fabrikam", actor="t")
    component = uuid4()
    secret = service.updates.images.upload("Fabrikam", package(manifest("theirs", component), OLD), actor="t")
    mine = service.updates.images.upload("Contoso", package(manifest("mine", component), GOOD), actor="t")
    service.updates.deployments.create(*HERE, [mine.image_id], actor="t")
    with host.claimed(b"o" * 32) as device:
        device.installed = (installed(secret),)  # so it says
        assert device.check_in().offer is not None
        path = f"/v1/delta/{secret.sha256.hex()}/{mine.sha256.hex()}"

        def given() -> Answer | None:
            answer = device.exchange("GET", path)
            return None if answer.status == 429 else answer  # 429: it is being made

        answer: Answer = wait_until(given, "the delta is made, or refused")
    return answer.status, answer.body


def test_a_device_learns_nothing_of_another_catalogs_images(host: ServiceHost) -> None:
    assert overlap(host) == (200, b"")


def test_mutation_of_the_places_to_start_from(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deltas, "_may_start", lambda *_: True)
    status, body = overlap(host)
    assert status == 200
    assert 0 < len(body) < len(GOOD) / 2, "how much the two have in common"
