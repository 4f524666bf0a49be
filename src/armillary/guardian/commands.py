# SPDX-License-Identifier: Apache-2.0
"""Carries out commands for one piece of equipment: judged, kept, sent, read back, recorded, answered.

Answers of a direct method: 200 with ``{"value", "verified"}``; 403 with ``{"rule", "error", "remedy"}`` where the guard
refuses; 504 where the equipment does not answer; 409 where something else stands; 503 where it cannot be asked at all.
One command at a time: each is judged by what the one before has left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from armillary.errors import ArmillaryError
from armillary.guard.auditing import Attempt, Outcome, outcome_of
from armillary.guard.commanding import checked_value, judge_command, read_command
from armillary.guard.permit import Permit
from armillary.guard.reading_back import check_read_back, read_back
from armillary.guard.situation import Situation
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.consent import Consents
from armillary.guardian.history import KeptHistory
from armillary.guardian.serving import Served
from armillary.wire.equipment.faults import GuardRefusedError, LinkError, ReadBackError
from armillary.wire.equipment.profile import Command, standing_point
from armillary.wire.equipment.reading import Quality, Value
from armillary.wire.equipment.request import Request

BY_HUB = "hub"
# What equipment shows by itself of a new value (a status frame after a command) comes within this.
SHOWN_WITHIN_S = 5.0
SHOWN_LOOK_S = 0.05

Answer = tuple[int, object]
Record = Callable[[Attempt], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commander:
    """Takes commands. ``record`` returns when an attempt is kept for the audit."""

    served: Served
    kept: KeptHistory
    consents: Consents
    clock: GuardianClock
    record: Record
    turn: asyncio.Lock

    async def call(self, name: str, payload: object) -> Answer:
        """Carry out a direct method."""
        async with self.turn:
            value = payload.get("value") if isinstance(payload, dict) else payload
            try:
                answer = await self._carry_out(name, payload)
            except (GuardRefusedError, LinkError, ReadBackError) as error:
                return await self.refused(name, value, error)
            await self.ended(name, value, Outcome.DONE, None)
            return answer

    async def keep(self, pending: dict[str, object] | None) -> None:
        """Keep the history, and what is about to be attempted, before anything is sent; whoever calls has the turn.

        Raises GuardRefusedError where the disk refuses: nothing is done that nobody would know of.
        """
        try:
            await asyncio.to_thread(self.kept.keep, self.clock.moment, pending)
        except OSError as error:
            raise GuardRefusedError("replayed", f"what was commanded cannot be kept: {error}") from error

    async def ended(self, name: str, value: object, outcome: Outcome, rule: str | None) -> None:
        """Record how an attempt ended."""
        await self.record(
            Attempt(command=name, value=value, outcome=outcome, rule=rule, by=BY_HUB, at=self.clock.now().wall)
        )
        if outcome is not Outcome.REFUSED:
            # If the disk refuses, it is recorded once more, as interrupted, after the next start.
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self.kept.keep, self.clock.moment, None)

    async def refused(self, name: str, value: object, error: GuardRefusedError | LinkError | ReadBackError) -> Answer:
        """Record that an attempt failed, and answer so."""
        await self.ended(name, value, *outcome_of(error))
        return refusal(error)

    async def _carry_out(self, name: str, payload: object) -> Answer:
        served = self.served
        command = next((each for each in served.compiled.profile.commands if each.name == name), None)
        permit = await self._judged(name, payload, command)
        await served.exchange.carry_out(permit)
        value = payload.get("value") if isinstance(payload, dict) else None
        if command is None or not command.verify:
            return 200, {"value": value, "verified": False}
        return 200, {"value": await self._verified(command, permit, value), "verified": True}

    async def _judged(self, name: str, payload: object, command: Command | None) -> Permit[Request]:
        served = self.served
        request = read_command(name, payload)
        if command is not None and command.step is not None:
            await self._read_standing(command)
        if command is not None and command.local_consent:
            self.consents.look(command.name, self.kept.history, self.clock.now().monotonic)
        situation = Situation(readings=served.poller.latest, history=self.kept.history)
        compiled = served.compiled
        try:
            permit = judge_command(compiled.profile, compiled.allow, request, situation, self.clock.moment)
        except GuardRefusedError as error:
            served.exchange.refused[error.rule] += 1
            await self.keep(None)
            raise
        await self.keep(pending(request.name, request.value))
        return permit

    async def _read_standing(self, command: Command) -> None:
        """Read what stands now, so that a step is judged by it. Where that fails, the guard refuses."""
        point = standing_point(self.served.compiled.profile, command)
        if point is None:
            return
        try:
            await self.served.poller.read(point.name)
        except LinkError:
            return

    async def _verified(self, command: Command, permit: Permit[Request], value: object) -> Value | None:
        """Read back what was written; the value that stands."""
        compiled, exchange = self.served.compiled, self.served.exchange
        point = standing_point(compiled.profile, command)
        read = read_back(compiled.allow, permit)
        if read is not None:
            check_read_back(permit, await exchange.carry_out(read))
        written = self.clock.now().monotonic
        if point is None:
            return None
        if read is not None:
            reading = await self.served.poller.read(point.name)
            return None if reading is None else reading.value
        return await self._shown(point.name, command, value, written)

    async def _shown(self, point: str, command: Command, value: object, since: float) -> Value | None:
        """Wait until the equipment shows what was set; a frame that was under way still shows the value before."""
        wanted = checked_value(command, value)
        latest = self.served.poller.latest
        other: Value | None = None
        for _ in range(int(SHOWN_WITHIN_S / SHOWN_LOOK_S)):
            seen = latest.get(point)
            if seen is not None and seen.monotonic >= since and seen.reading.quality is Quality.GOOD:
                if seen.reading.value == wanted:
                    return wanted
                other = seen.reading.value
            await asyncio.sleep(SHOWN_LOOK_S)
        if other is not None:
            raise ReadBackError(f"{wanted} was set by {command.name}, and {point} shows {other}")
        raise ReadBackError(f"{point} did not show within {SHOWN_WITHIN_S:g} s what {command.name} had set")


def pending(name: str, value: object) -> dict[str, object]:
    """How an attempt is recorded that a killed guardian has left."""
    return Attempt(command=name, value=value, outcome=Outcome.FAILED, rule="interrupted", by=BY_HUB).body()


def refusal(error: ArmillaryError) -> Answer:
    """The answer to what was not done."""
    body: dict[str, object] = {"error": error.message, "remedy": error.remedy}
    if isinstance(error, GuardRefusedError):
        return 403, {"rule": error.rule, **body}
    if isinstance(error, ReadBackError):
        return 409, body
    return 504, {"reason": error.reason, **body} if isinstance(error, LinkError) else body
