# SPDX-License-Identifier: Apache-2.0
"""What the device endpoint keeps of each device between two requests, so that a check-in reads no disk.

The records are authoritative; this is a bounded cache. An operator's change marks an entry stale (from any thread) and
the next request reads the records again. Spent challenges are kept while an entry is stale; an entry that was dropped
reads them back; and the database refuses a spent challenge in any case.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from armillary.attest.appraise import UPDATE_ONLY, Enrolment
from armillary.attest.lineage import NO_LINEAGE, Lineage
from armillary.engines.records.queries.devices import AskedLog, BootDetails, Enrolled
from armillary.engines.records.store import Records
from armillary.errors import (
    DeviceStateError,
    RateLimitedError,
    RevokedDeviceError,
    UnclaimedDeviceError,
    UnknownDeviceError,
)
from armillary.identity.manufacturing import ManufacturingState
from armillary.service.authority.catalog_authority import Issuer
from armillary.service.repository.director import Issued
from armillary.service.updates.offers import Book, Wanted
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.device.checkin import NO_DUMPS, Offer
from armillary.wire.hub.credentials import UNATTESTED

# Devices kept, about 5 KiB each: those of a burst. The others are read from the records, 20 us a check-in.
MAX_DEVICES: Final = 256
# Living spent challenges of one device beyond which it has to wait: it also bounds how many certificates one device
# can ask for. An honest device spends one an hour, and a challenge lives some hours.
MAX_SPENT: Final = 4096
# Spent challenges after which expired ones are looked for; twice as many as were left by the last look.
SPENT_SWEEP: Final = 16

NO_BOOT: Final = BootDetails("", "[]", b"", "{}")  # of a device that was never attested

# States in which a device may check in: before Module1Complete it is not sealed.
SEALED: Final = frozenset({ManufacturingState.MODULE1_COMPLETE.value, ManufacturingState.DEVICE_COMPLETE.value})


class SpentChallenges:
    """The challenges of one device that were used and have not expired: id -> its end, Unix seconds UTC."""

    __slots__ = ("_known", "_sweep_at")

    def __init__(self, known: dict[bytes, int]) -> None:
        self._known = known
        self._sweep_at = SPENT_SWEEP

    def __contains__(self, challenge_id: bytes) -> bool:
        return challenge_id in self._known

    def __len__(self) -> int:
        return len(self._known)

    def add(self, challenge_id: bytes, expires_at: int, now: int) -> None:
        """Keep a challenge until it expires."""
        if len(self._known) >= self._sweep_at:
            self._sweep(now)
        self._known[challenge_id] = expires_at

    def check_rate(self, now: int) -> None:
        """Raise RateLimitedError, with the seconds to wait, for too many spent challenges that have not expired."""
        if len(self._known) >= MAX_SPENT:
            self._sweep(now)
            if len(self._known) >= MAX_SPENT:
                wait = max(1, min(self._known.values()) - now)
                raise RateLimitedError(f"{len(self._known)} check-ins in a short time", retry_after_s=wait)

    def _sweep(self, now: int) -> None:
        self._known = {one: at for one, at in self._known.items() if at > now}
        self._sweep_at = max(SPENT_SWEEP, 2 * len(self._known))


# Unix seconds that no clock shows.
NEVER: Final = 2**63 - 1


@dataclass(eq=False, slots=True, repr=False)
class LastAnswer:
    """What the verifier computed for a device last time, and from what: the next check-in mostly needs the same.

    ``wanted`` and ``offer`` follow from ``book`` for a report of installed images with the digest ``report_digest`` and
    a boot with these ``events``, until the offer's lease is renewed at ``renewed_at``; ``interval_s`` is that of its
    group, ``dumps`` what crash dumps of its devices may hold; ``issuer`` signs its client certificates; ``directive``
    is the last one that was made for it; ``given_up`` is the trust store that it could not install.
    """

    issuer: Issuer | None = None
    book: Book | None = None
    wanted: Wanted | None = None
    offer: Offer | None = None
    report_digest: bytes = b""
    directive: Issued | None = None
    events: tuple[BootEvent, ...] = ()
    interval_s: int = 0
    dumps: int = NO_DUMPS
    renewed_at: int = NEVER
    given_up: UUID | None = None


@dataclass(eq=False, slots=True, repr=False)
class DeviceState:
    """One device. Changed in the event loop only, but for ``stale``.

    Attributes:
        stale: The records have to be read again before the next use.
        busy: A check-in is being recorded.
        is_asked: Somebody asked it to check in at once since it did last.
        log_request: Somebody asked for its log, and it has not sent it.
        cellular_status_at: When it said last what its modem is like, Unix seconds UTC.
        is_quarantined: It gets update certificates only, whatever it proves.
        update_status: What it says about its update, as stored.
        installed_digest: Of the report that ``installed`` is the stored form of.
        firmware_values: PCR values whose log was recorded or is no log.
    """

    device_id: str
    stale: bool = True
    busy: bool = False
    spent: SpentChallenges = field(default_factory=lambda: SpentChallenges({}))
    number: int = 0
    attestation_key: bytes = b""
    chip: str = ""
    trust_tier: str = ""
    manufacturing_state: str = ""
    installed: str = ""
    catalog_id: UUID | None = None
    group_id: UUID | None = None
    revoked: bool = True
    last_boot_count: int = 0
    lineage: Lineage = NO_LINEAGE
    details: BootDetails = NO_BOOT
    last: LastAnswer = field(default_factory=LastAnswer)
    installed_digest: bytes = b""
    firmware_values: bytes = b""
    is_asked: bool = False
    log_request: AskedLog | None = None
    cellular_status_at: int = 0
    is_quarantined: bool = False
    update_status: str | None = None
    enforcement: tuple[tuple[str, str], ...] | None = None
    _enrolment: Enrolment | None = None

    @property
    def enrolment(self) -> Enrolment:
        """What the appraisal compares with; made again only when it changed."""
        if self._enrolment is None:
            self._enrolment = Enrolment(
                device_id=self.device_id,
                identity_key=bytes.fromhex(self.device_id),
                chip=self.chip,
                trust_tier=self.trust_tier,
                last_boot_count=self.last_boot_count,
                last_endorsement=self.details.endorsement,
                minimum_security_versions={
                    int(kind): version for kind, version in json.loads(self.details.security_versions).items()
                },
                attestation_key=self.attestation_key,
            )
        return self._enrolment

    def take(self, found: Enrolled) -> None:
        """Keep what the records say."""
        self.number = found.number
        self.attestation_key = found.attestation_key
        self.chip = found.chip
        self.trust_tier = found.trust_tier
        self.manufacturing_state = found.manufacturing_state
        self.catalog_id = found.catalog_id
        self.group_id = found.group_id
        self.revoked = found.revoked
        self.last_boot_count = found.boot_count
        self.lineage = found.lineage
        self.installed = found.installed
        self.is_asked = found.is_asked
        self.log_request = found.log_request
        self.is_quarantined = found.is_quarantined
        self.update_status = found.update_status
        self.details = found.details
        # What follows from the records is computed again; that a store failed on the device does not.
        self.last = LastAnswer(given_up=self.last.given_up)
        self.installed_digest = self.firmware_values = b""
        self.enforcement = self._enrolment = None

    def asked_log(self, now: int) -> UUID | None:
        """The request for its log that waits now."""
        asked = self.log_request
        return None if asked is None or asked.ends_at <= now else asked.request_id

    def earns(self, verdict: str) -> str:
        """The verdict by which its certificate is issued: in quarantine it is for updates, whatever was attested."""
        return UPDATE_ONLY if self.is_quarantined else verdict

    def booted(self, boot_count: int, details: BootDetails) -> None:
        """Keep an attested boot once it is recorded."""
        if boot_count != self.last_boot_count or details != self.details:
            self.last_boot_count = boot_count
            self.details = details
            self._enrolment = None


class DeviceStates:
    """The bounded cache, least recently used first out."""

    def __init__(self, records: Records, now: Callable[[], int], *, limit: int = MAX_DEVICES) -> None:
        self._records = records
        self._now = now
        self._limit = limit
        self._states: OrderedDict[str, DeviceState] = OrderedDict()

    def refresh(self, state: DeviceState) -> bool:
        """Read a device again; False if it is what it was: no other worker has recorded anything."""
        before = state.lineage
        self._load(state.device_id, state)
        return state.lineage != before

    def mark_stale(self, device_id: str) -> None:
        """An operator changed the device; safe from any thread."""
        state = self._states.get(device_id)
        if state is not None:
            state.stale = True

    def admitted(self, device_id: str) -> DeviceState:
        """A device that may use the endpoint.

        UnknownDeviceError, RevokedDeviceError, DeviceStateError or UnclaimedDeviceError for one that may not.
        """
        state = self._states.get(device_id)
        if state is None or state.stale:
            state = self._load(device_id, state)
        else:
            self._states.move_to_end(device_id)
        if state.revoked:
            raise RevokedDeviceError(f"device {device_id[:16]}... was revoked")
        if state.manufacturing_state not in SEALED:
            raise DeviceStateError(f"device {device_id[:16]}... is in state {state.manufacturing_state}")
        if state.catalog_id is None:
            raise UnclaimedDeviceError(f"device {device_id[:16]}... belongs to no catalog")
        return state

    def _load(self, device_id: str, state: DeviceState | None) -> DeviceState:
        is_new = state is None
        if state is None:
            state = self._states[device_id] = DeviceState(device_id)
        state.stale = False  # before the reading: a change that comes meanwhile marks it again
        lookup = self._records.lookup
        try:
            found = lookup.device(device_id)
            if found is not None and is_new:
                state.spent = SpentChallenges(lookup.spent_challenges(found.number, now=self._now()))
        except BaseException:  # undone whatever it was, then raised on: what was not read does not count as read
            state.stale = True
            if is_new:
                self._states.pop(device_id, None)
            raise
        if found is None or found.trust_tier == UNATTESTED:  # a bridged device has no key that could attest
            self._states.pop(device_id, None)
            raise UnknownDeviceError(f"device {device_id[:16]}... was never manufactured here")
        state.take(found)
        if len(self._states) > self._limit:
            self._drop()
        return state

    def _drop(self) -> None:
        for device_id, state in tuple(self._states.items())[: len(self._states) - self._limit]:
            if not state.busy:
                del self._states[device_id]
