# SPDX-License-Identifier: Apache-2.0
"""Guards whom a device of a device image trusts: its TPM keeps a digest of what its data partition says about that.

Nothing signs the data partition. Whoever has the disk in his hands could name himself among the signers of
applications, or set the manufacturing state back: the device would run what he signed, and be attested, since what it
boots is what it was. So the TPM keeps a digest of these records. A device whose records are others does not start.
Which trust store of the maker's the device obeys is one of them, in its configuration (``install/trust_stores.py``).

A change is kept before it is made, as the digests of before and after, either of which is good; then that of after
alone. So a power cut leaves a device that starts, and an old copy of the records, with signers that were trusted once,
does not start. A device whose TPM keeps nothing yet is at its first start: its records are taken as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, Protocol

from armillary.device.boot.recovery_regions import DECIDED
from armillary.device.state import configuration
from armillary.device.state.permission import STATE_REGION, state_of
from armillary.engines.flash.port import Flash
from armillary.errors import DataFolderError
from armillary.wire.encoding import cbor

# A recovery that was decided replaces the configuration at the next start.
REGIONS: Final = (configuration.REGION, STATE_REGION, DECIDED)


class TrustMemory(Protocol):
    """Where a copy of the disk does not reach (``engines/root_of_trust/tpm_trust.py``)."""

    def load(self) -> bytes:
        """What was stored last; empty before the first."""

    def store(self, data: bytes) -> None:
        """Store it in the place of what was there; durable when it returns."""


class TrustGuard:
    """One for each start: the device's flash is :meth:`over` its files, and :meth:`begin` is called before it boots."""

    def __init__(self) -> None:
        self._memory: TrustMemory | None = None

    def over(self, files: Flash) -> Flash:
        """These files, with each change of a guarded record kept."""
        return _GuardedFlash(files, self)

    def begin(self, files: Flash, memory: TrustMemory) -> None:
        """Compare the records with what is kept, and keep each change from now on.

        Raises:
            DataFolderError: they were changed from outside, or are an old copy.
            RootOfTrustError: the TPM fails.
        """
        found, kept = _digest(_records(files)), memory.load()
        if kept and found not in (kept[: len(found)], kept[len(found) :]):
            raise DataFolderError(
                "whom this device trusts (its configuration and manufacturing state on the data partition) is not what "
                "its TPM keeps: it was changed from outside, or is an old copy",
                remedy="Put the data partition back as it was, or write the device image to the disk again and enrol "
                "the machine as a new device.",
            )
        if kept != found + found:
            memory.store(found + found)
        self._memory = memory

    @contextlib.contextmanager
    def changing(self, files: Flash, region: str, data: bytes | None) -> Iterator[None]:
        """Keep that ``region`` holds ``data`` after the block, or is gone."""
        if self._memory is None or region not in REGIONS:
            yield
            return
        records = _records(files)
        before, after = _digest(records), _digest({**records, region: data})
        self._memory.store(before + after)
        yield
        self._memory.store(after + after)


class _GuardedFlash:
    """A flash engine; a guarded region is replaced by ``rename`` or removed, never written in its place."""

    def __init__(self, files: Flash, guard: TrustGuard) -> None:
        self._files = files
        self._guard = guard

    def read(self, region: str) -> bytes | None:
        return self._files.read(region)

    def write(self, region: str, data: bytes) -> None:
        if region in REGIONS:
            raise DataFolderError(
                f"flash region {region}: expected a replacement as a whole (replace_region), got a write",
                remedy="This is a defect of the caller; report it.",
            )
        self._files.write(region, data)

    def sync(self, region: str) -> None:
        self._files.sync(region)

    def rename(self, source: str, target: str) -> None:
        with self._guard.changing(self._files, target, self._files.read(source)):
            self._files.rename(source, target)

    def remove(self, region: str) -> None:
        with self._guard.changing(self._files, region, None):
            self._files.remove(region)

    def room(self, region: str) -> int | None:
        return self._files.room(region)

    def regions(self, prefix: str) -> tuple[str, ...]:
        return self._files.regions(prefix)

    def runs_from(self, region: str) -> bool:
        return self._files.runs_from(region)

    def before_write(self, region: str) -> None:
        self._files.before_write(region)


def _records(files: Flash) -> dict[str, bytes | None]:
    return {region: files.read(region) for region in REGIONS}


def _digest(records: Mapping[str, bytes | None]) -> bytes:
    """SHA-256 over the records: 32 bytes. The state by its name, since a missing one means the tightest."""
    state = state_of(records[STATE_REGION]).value
    return sha256(cbor.encode([records[configuration.REGION], state, records[DECIDED]])).digest()
