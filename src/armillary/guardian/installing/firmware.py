# SPDX-License-Identifier: Apache-2.0
"""Firmware of one piece of equipment: its hash is signed, its bytes come in pieces, it is started and must show itself.

An installation: (1) the signature over version, size and hash; (2) the bytes, by direct method in their order, until
the hash holds; (3) the guard's interlock and the consent of a person at the equipment; (4) each piece through the
window, read back; (5) the coil that starts it; (6) the equipment shows the new version within :data:`SHOWN_WITHIN_S`,
else the coil that starts the one before. A guardian that is killed on the way begins again at (3): nothing was started.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from armillary.guard.allow_list import FIRMWARE
from armillary.guard.auditing import Outcome, outcome_of
from armillary.guard.installing import FirmwareStep, judge_firmware, judge_piece, judge_step
from armillary.guard.situation import Situation
from armillary.guardian.commands import Answer, Commander, pending
from armillary.guardian.installing.desired import SupersededError
from armillary.guardian.installing.writing import look, write
from armillary.wire.equipment.faults import GuardRefusedError, LinkError, ProfileError, ReadBackError
from armillary.wire.equipment.files.firmware_file import FirmwareFile, read_firmware
from armillary.wire.equipment.profile import FirmwareArea
from armillary.wire.equipment.reading import Quality
from armillary.wire.equipment.signed_file import FIRMWARE as FIRMWARE_TYPE, TrustedKey, verify

PUT = "putFirmware"
# A direct method carries 128 KiB of JSON; base64 makes four bytes of three.
PIECE_BYTES = 64 * 1024
SHOWN_WITHIN_S = 60.0
SHOWN_LOOK_S = 1.0
WORD_BYTES = 2


@dataclass(slots=True, kw_only=True)
class Firmware:
    """Takes firmware for one piece of equipment; its bytes gather in ``part``."""

    commander: Commander
    keys: tuple[TrustedKey, ...]
    part: Path
    wanted: FirmwareFile | None = None
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self, envelope: bytes) -> FirmwareFile:
        """Take the signed statement about a firmware; what came of another one is thrown away.

        Raises:
            SignatureError, ProfileError: it is not signed, for another profile, or too large for the equipment.
            GuardRefusedError: the equipment takes no firmware.
        """
        found = read_firmware(verify(envelope, self.keys, FIRMWARE_TYPE).payload)
        profile = self.commander.served.compiled.profile
        if found.profile != profile.name:
            raise ProfileError("profile", expected=profile.name, got=found.profile, rule="name")
        if found.size > self._area.limit_bytes:
            raise ProfileError("size", expected=f"at most {self._area.limit_bytes}", got=str(found.size), rule="limit")
        if self.wanted != found:
            self.complete.clear()
            self.wanted = found
            if self._gathered() == found.size and self._holds(found):
                self.complete.set()  # It came before this process began
            else:
                self.part.unlink(missing_ok=True)
        return found

    def put(self, payload: object) -> Answer:
        """Answer the method ``putFirmware``: ``{"sha256", "offset", "data": base64}``; says how much is there."""
        wanted = self.wanted
        if wanted is None or not isinstance(payload, dict) or payload.get("sha256") != wanted.sha256:
            return 409, {"error": "no firmware of this hash is wanted", "remedy": "Set the property firmware first."}
        data, offset = _decoded(payload.get("data")), payload.get("offset")
        there = self._gathered()
        if data is None or not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset <= there:
            return 400, {"error": f"expected up to {PIECE_BYTES} bytes at offset {there}", "received": there}
        if offset + len(data) > wanted.size:
            return 400, {"error": f"the firmware has {wanted.size} bytes", "received": there}
        if offset == there:
            try:
                self.part.parent.mkdir(parents=True, exist_ok=True)
                with self.part.open("ab") as file:
                    file.write(data)
            except OSError as error:
                return 507, {"error": f"no room for it: {error.strerror}", "received": there}
            there += len(data)
        if there == wanted.size and not self.complete.is_set():
            if not self._holds(wanted):
                self.part.unlink(missing_ok=True)
                return 422, {"error": "the bytes do not have the hash that was signed", "received": 0}
            self.complete.set()
        return 200, {"received": there}

    async def install(self, wanted: FirmwareFile) -> None:
        """Steps (3) to (6), once its bytes are there.

        Raises:
            SupersededError: another one is wanted meanwhile.
            ProfileError: ``rollback``: the equipment runs a later one; ``form``: the bytes are others by now.
            GuardRefusedError: ``interlock`` and ``consent`` may pass, the others do not.
            LinkError, ReadBackError: it could not be written, or does not show itself: the one before was started.
        """
        commander = self.commander
        async with commander.turn:
            if self.wanted != wanted:
                raise SupersededError
            running = await self._running()
            if running == wanted.version:
                return
            if running is None:  # Whether this one is earlier cannot be known: it waits
                raise LinkError("timeout", f"{self._area.version} does not show which version runs")
            if running > wanted.version:
                raise ProfileError("version", expected=f"more than {running}", got=str(wanted.version), rule="rollback")
            content = await asyncio.to_thread(self._content, wanted)
            await look(commander.served, self._area.when)
            commander.consents.look(FIRMWARE, commander.kept.history, commander.clock.now().monotonic)
            profile = commander.served.compiled.profile
            judge_firmware(profile, wanted.size, self._situation, commander.clock.moment)
            await commander.keep(pending(FIRMWARE, wanted.version))
            try:
                await self._write_all(content)
                await self._start(wanted)
            except (GuardRefusedError, LinkError, ReadBackError) as error:
                outcome, rule = outcome_of(error)
                await commander.ended(FIRMWARE, wanted.version, Outcome.FAILED if rule else outcome, rule)
                raise
            await commander.ended(FIRMWARE, wanted.version, Outcome.DONE, None)
            self.part.unlink(missing_ok=True)

    def _content(self, wanted: FirmwareFile) -> bytes:
        """All bytes, as they were signed: what is written is checked, and not what once lay in the file.

        Raises ProfileError where they are others by now, OSError.
        """
        content = self.part.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != wanted.sha256:
            raise ProfileError("sha256", expected=wanted.sha256, got=found)
        return content

    async def _write_all(self, content: bytes) -> None:
        served, window = self.commander.served, self._area.words * WORD_BYTES
        for offset in range(0, len(content), window):
            piece = content[offset : offset + window]
            moment = self.commander.clock.moment
            profile, allow = served.compiled.profile, served.compiled.allow
            await write(served, judge_piece(profile, allow, offset, piece, self._situation, moment))

    async def _start(self, wanted: FirmwareFile) -> None:
        """Steps (5) and (6)."""
        await self._step(FirmwareStep.COMMIT)
        for _ in range(int(SHOWN_WITHIN_S / SHOWN_LOOK_S)):
            await asyncio.sleep(SHOWN_LOOK_S)
            if await self._running() == wanted.version:
                return
        await self._step(FirmwareStep.REVERT)
        raise ReadBackError(f"the equipment does not show version {wanted.version}: the one before was started")

    async def _step(self, step: FirmwareStep) -> None:
        served = self.commander.served
        await look(served, self._area.when)
        profile, allow = served.compiled.profile, served.compiled.allow
        await served.exchange.carry_out(judge_step(profile, allow, step, self._situation, self.commander.clock.moment))

    async def _running(self) -> int | None:
        """The version that the equipment says it runs; None while it is silent, as when it starts."""
        with contextlib.suppress(LinkError):
            reading = await self.commander.served.poller.read(self._area.version)
            if reading is not None and reading.quality is Quality.GOOD and isinstance(reading.value, int):
                return reading.value
        return None

    def _gathered(self) -> int:
        try:
            return self.part.stat().st_size
        except OSError:
            return 0

    def _holds(self, wanted: FirmwareFile) -> bool:
        with self.part.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256

    @property
    def _situation(self) -> Situation:
        return Situation(readings=self.commander.served.poller.latest, history=self.commander.kept.history)

    @property
    def _area(self) -> FirmwareArea:
        area = self.commander.served.compiled.profile.firmware
        if area is None:
            raise GuardRefusedError("read-only", "the profile has no firmware area")
        return area


def _decoded(data: object) -> bytes | None:
    """The bytes of a piece; None for what is none."""
    if not isinstance(data, str) or len(data) > PIECE_BYTES * 2:
        return None
    try:
        found = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if 0 < len(found) <= PIECE_BYTES else None
