# SPDX-License-Identifier: Apache-2.0
"""One piece of equipment: its profile, its link, what is read of it and what is told about it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from armillary.engines.equipment.opening import Buses, open_link
from armillary.engines.equipment.queue import MessageQueue
from armillary.errors import ArmillaryError
from armillary.guard.clock import Pair
from armillary.guard.compiling import compile_profile
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.commands import Commander
from armillary.guardian.configuration import EquipmentEntry
from armillary.guardian.consent import Consents
from armillary.guardian.exchange import Exchange
from armillary.guardian.history import kept_history
from armillary.guardian.installing.installer import Installer, installer
from armillary.guardian.log import log
from armillary.guardian.messages import Stamping, body_of
from armillary.guardian.observing import Observer, Raised
from armillary.guardian.placing import placed
from armillary.guardian.polling import Poller
from armillary.guardian.profiles import ProfileStore
from armillary.guardian.serving import Served
from armillary.guardian.surroundings import Surroundings
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.message import MessageKind, Outgoing
from armillary.wire.equipment.profile import Profile
from armillary.wire.equipment.reading import Reading

# A piece of equipment that cannot be served (no profile, no serial port) is tried again after this.
AGAIN_S = 30.0
# Batches that wait for the disk. A commit takes 0.2 s at most, so that this many are a disk that does not follow.
PUTS_LIMIT = 32
ATTEMPTS_KEPT = 20  # For the twin; the audit messages in the hub have all


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What all pieces of equipment share."""

    around: Surroundings
    clock: GuardianClock
    queue: MessageQueue
    profiles: ProfileStore
    buses: Buses = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where small files about equipment are kept."""
        return self.around.data / "equipment"


@dataclass(frozen=True, slots=True)
class _Found:
    """Messages that readings were worth, and the alarms that stand with them where they tell of any."""

    messages: Sequence[Outgoing]
    observer: Observer
    raised: Raised | None


class Equipment:
    """Serves one piece of equipment until it is cancelled; whatever fails here stays here."""

    def __init__(self, entry: EquipmentEntry, means: Means) -> None:
        self.entry = entry
        self.attempts: deque[dict[str, object]] = deque(maxlen=ATTEMPTS_KEPT)  # What was asked of it, oldest first
        self.served: Served | None = None
        self.problem = ""  # Why it is not served
        self._means = means
        self._stamping = Stamping(entry.name, means.clock)
        self._observer: Observer | None = None
        self._puts: set[asyncio.Future[None]] = set()  # On their way to the disk
        self._remembering = asyncio.Lock()  # Of the alarms that stand, in the order of their messages
        self._commander: Commander | None = None
        self._installer: Installer | None = None
        self._desired: dict[str, object] = {}  # Of the hub, for when it is served
        self._renewed = asyncio.Event()  # Another profile is in force
        self._turn = asyncio.Lock()  # One command, recipe or firmware at a time

    async def run(self) -> None:
        """Serve it; begin anew where that ended."""
        while True:
            try:
                await self._serve()
                continue  # By another profile
            except (ArmillaryError, OSError) as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - the outermost loop: one machine's fault stops no other's
                self._failed(_why(error))
            await asyncio.sleep(AGAIN_S)

    async def _serve(self) -> None:
        means, entry = self._means, self.entry
        profile = placed(await asyncio.to_thread(means.profiles.load, entry), entry.link)
        compiled = compile_profile(profile)
        link = open_link(
            profile.link, means.around.serial_ports, {}, folder=means.folder / entry.name, buses=means.buses
        )
        exchange = Exchange(compiled.allow, link)
        self._observer = Observer(compiled, self._stamping, means.folder)
        poller = Poller(entry.name, compiled, exchange, means.clock, self._take)
        served = Served(compiled=compiled, exchange=exchange, poller=poller)
        self._commander = commander = await self._new_commander(served)
        self._installer = installing = await self._new_installer(commander)
        self.served, self.problem = served, ""
        log(f"{entry.name}: profile {profile.name} version {profile.version}")
        installing.desired.want(self._desired)
        self._renewed.clear()
        try:
            await _first(poller.run(), self._replaced())
        finally:
            installing.desired.close()
            self.served = self._commander = self._installer = None
            await exchange.close()

    async def _replaced(self) -> None:
        """Return when another profile is in force, and what was under way by the present one has ended."""
        await self._renewed.wait()
        async with self._turn:
            self._commander = self._installer = None

    async def _new_commander(self, served: Served) -> Commander:
        means = self._means
        path = means.folder / f"{self.entry.name}.commands"
        kept = await asyncio.to_thread(kept_history, path, means.clock.moment)
        if kept.interrupted is not None:
            await self._record(kept.interrupted, means.clock.now().wall)
            kept.interrupted = None
            with contextlib.suppress(OSError):  # Else it is recorded once more at the next start
                await asyncio.to_thread(kept.keep, means.clock.moment, None)
        return Commander(
            served=served,
            kept=kept,
            consents=Consents(means.around.data, self.entry.name),
            clock=means.clock,
            record=lambda attempt: self._record(attempt.body(), attempt.at),
            turn=self._turn,
        )

    async def _new_installer(self, commander: Commander) -> Installer:
        means = self._means
        keys = tuple(means.profiles.keys)

        def make() -> Installer:
            return installer(
                commander, keys, means.folder, self.entry.name, take_profile=self._take_profile, changed=lambda: None
            )

        return await asyncio.to_thread(make)

    async def _take_profile(self, envelope: bytes) -> int:
        """Serve it by a newer profile, once that can be."""
        served, entry = self.served, self.entry
        if served is None:
            raise LinkError("unreachable", f"{entry.name} is not served")
        present = served.compiled.profile

        def check(found: Profile) -> None:
            compile_profile(placed(found, entry.link))

        found = await asyncio.to_thread(self._means.profiles.take, entry, envelope, present.name, check)
        if found.version != present.version:
            self._renewed.set()
        return found.version

    async def call(self, name: str, payload: object) -> tuple[int, object]:
        """Answer a direct method: about what is installed, else a command of the profile."""
        commander, installing = self._commander, self._installer
        if commander is None or installing is None:
            return 503, {"error": f"{self.entry.name} is not served: {self.problem}", "remedy": "Look at its link."}
        answer = await installing.call(name, payload)
        return await commander.call(name, payload) if answer is None else answer

    def want(self, desired: Mapping[str, object]) -> None:
        """Take desired properties, the whole section or a change of it."""
        self._desired |= desired
        if self._installer is not None:
            self._installer.desired.want(desired)

    async def _record(self, body: dict[str, object], at: float) -> None:
        """Keep an attempt for the audit, and show it in the twin."""
        attempt = body["attempt"]
        if isinstance(attempt, dict):
            self.attempts.append({**attempt, "at": round(at, 3)})
        now = self._means.clock.now()
        message = self._stamping.message(MessageKind.AUDIT, body_of(body), at=now.wall, monotonic=now.monotonic)
        await self._put([message])

    def say_standing(self) -> None:
        """Say again which alarms stand: what was said while the hub was away is history, by which no rule fires."""
        if self._observer is not None and (messages := self._observer.standing(self._means.clock.now())):
            self._begin(self._put(messages))

    async def _take(self, readings: Sequence[Reading], moment: Pair, *, kept: bool) -> None:
        if self._observer is None:
            return
        messages = self._observer.take(readings, moment)
        if not messages:
            return
        tells_alarms = any(each.kind is MessageKind.ALARM for each in messages)
        found = _Found(messages, self._observer, self._observer.raised if tells_alarms else None)
        if kept:
            await self._put_found(found)
            return
        if len(self._puts) >= PUTS_LIMIT:
            await asyncio.wait(self._puts, return_when=asyncio.FIRST_COMPLETED)
        if tells_alarms:
            self._begin(self._put_found(found))
        else:
            self._begin_put(messages)

    def _begin(self, put: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(put)
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)

    def _begin_put(self, messages: Sequence[Outgoing]) -> None:
        """As ``_begin(self._put(messages))``, for what nothing follows: without a task, which costs more than a put."""
        try:
            put = self._means.queue.begin_put(messages)
        except ArmillaryError as error:
            self._not_kept(error)
            return
        self._puts.add(put)
        put.add_done_callback(self._put_ended)

    def _put_ended(self, put: asyncio.Future[None]) -> None:
        self._puts.discard(put)
        if not put.cancelled() and (error := put.exception()) is not None:
            self._not_kept(error)

    def _not_kept(self, error: BaseException) -> None:
        log(f"{self.entry.name}: not kept: {error}")

    async def _put(self, messages: Sequence[Outgoing]) -> bool:
        try:
            await self._means.queue.put(messages)
        except ArmillaryError as error:
            self._not_kept(error)
            return False
        return True

    async def _put_found(self, found: _Found) -> None:
        """Keep messages, then which alarms stand if they tell of any: a kill in between has these told again."""
        if found.raised is None:
            await self._put(found.messages)
            return
        async with self._remembering:
            if await self._put(found.messages):
                await asyncio.to_thread(found.observer.remember, found.raised)

    def _failed(self, problem: str) -> None:
        self.served = None
        if problem != self.problem:
            log(f"{self.entry.name} is not served: {problem}")
        self.problem = problem

    def status(self, attempts: int) -> dict[str, object]:
        """What the guardian's twin says of it, with so many of the last attempts."""
        served = self.served
        if served is None:
            return {"profile": None, "version": None, "link": "down", "problem": self.problem[:200]}
        return {
            "profile": served.compiled.profile.name,
            "version": served.compiled.profile.version,
            "link": "up" if served.poller.is_up else "down",
            "counters": {**asdict(served.exchange.link.counters), "unlisted": served.poller.unlisted},
            "refused": dict(served.exchange.refused),
            "attempts": list(self.attempts)[-attempts:],
            "problem": None,
        }

    def properties(self) -> dict[str, object] | None:
        """What its own twin says; None while it is not served."""
        served = self.served
        if served is None:
            return None
        profile = served.compiled.profile
        found: dict[str, object] = {"profile": profile.name, "profileVersion": profile.version}
        if "simulated" in served.poller.latest:
            found["simulated"] = served.poller.latest["simulated"].reading.value is True
        if self._installer is not None:
            found |= self._installer.desired.acknowledged
        return found


def _why(error: BaseException) -> str:
    """What went wrong, in the first of several tasks that ended by it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def _first(*runs: Coroutine[Any, Any, Any]) -> None:
    """Run until one of these has ended, and end the others. Raises what it raised."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
