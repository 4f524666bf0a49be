# SPDX-License-Identifier: Apache-2.0
"""Rules at work: evaluated on what was committed, in the decoder's own slices, and durable with what they did.

::

    decoder --message--> Plan of its device --> step() --> state, trace
                                                      '--> fired --at the end of the block--> one commit:
                                                           alert + deliveries + states of the device, up to the block
    deadlines (heap) --every TICK_S, only those that are due--> step()

*What is promised.* A rule sees a message after the commit that acknowledges it, never before, and exactly once: the
states of a device are kept together with the position of the log that they are of, so after a ``kill -9`` the log is
evaluated again from there, and what was evaluated already is passed over. A firing is committed in one transaction with
the state that made it, before any of its actions begins: it is neither lost nor doubled, and its id (made of rule,
version, device and firing) is the same whenever it is evaluated again. Its actions are done at least once
(``actions.py``).

*Back-pressure.* There is no queue between decoder and rules: slow rules make the decoder fall behind, and then devices
are not read from (``limits.HOLD_ABOVE_BACKLOG_BYTES``). Every acknowledged message is in the log meanwhile.

*Speed.* Messages that change nothing take the rule's fast path (``twin/rule/fast_path.py``), a tenth of ``step``.

Everything here runs in the hub's loop unless it says otherwise. Without an enabled rule nothing is open and nothing
runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import structlog

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.documents.document import Document
from armillary.engines.documents.store import DocumentStore
from armillary.engines.rules.rows import begun_anew, forgotten, keep, withdrawn
from armillary.engines.rules.store import RuleStore
from armillary.engines.series.store import SeriesStore
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.platform.ports import Devices
from armillary.platform.rules.actions import RuleActions
from armillary.platform.rules.facts import KnownDevices, RuleFacts
from armillary.platform.rules.keeping import RuleCounters, RuleKeeping
from armillary.platform.rules.news import news_of
from armillary.platform.rules.plans import Plan, RuleSet, Running
from armillary.platform.rules.timing import Deadlines, RuleTime
from armillary.platform.rules.traces import Traces
from armillary.twin.rule.evaluate import step
from armillary.twin.rule.table import Event
from armillary.wire.hub.telemetry import Telemetry

# How often deadlines are looked at (seconds): part of the two seconds from a message to its firing.
TICK_S: Final = 0.25
# What is known of a device is read again after this time (seconds) where a rule is for a device group: who is in one
# changes without anybody saying so.
GROUP_AGE_S: Final = 30.0
# Work of one tick or one slice of a survey before others get the loop (seconds).
SLICE_S: Final = 0.005

_log = structlog.get_logger(__name__)


class Rules:
    """All rules."""

    def __init__(
        self,
        series: SeriesStore,
        documents: DocumentStore,
        facts: RuleFacts,
        devices: Devices,
        store: OnDemand[RuleStore],
        actions: RuleActions,
        clock: Callable[[], float],  # Unix time, seconds
    ) -> None:
        self.is_active = False  # Whether any rule is enabled
        self.counters = RuleCounters()
        self.traces = Traces()
        self.actions = actions
        self.loaded = RuleSet()  # The rules, ready
        self._series = series
        self._documents = documents
        self._facts = facts
        self._store = store
        self._time = RuleTime(clock, series, devices)
        self._known = KnownDevices(devices, series)
        self._deadlines = Deadlines()
        self._plans: dict[str, Plan] = {}
        self._survey: Iterator[None] | None = None
        self._surveyed_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._keeping = RuleKeeping(store, self.counters, actions.wake)

    # Life ---------------------------------------------------------------------------------------------------

    def store(self) -> RuleStore:
        """The database, opened or made when first asked for; from any thread.

        Raises:
            DataFolderError: it cannot be opened.
        """
        return self._store.get()

    async def start(self) -> None:
        """Continue where the hub ended last. Call it before the hub takes its first message."""
        self._loop = self._keeping.loop = asyncio.get_running_loop()
        self._time.listening_since_ms = self.now_ms()
        documents = await asyncio.to_thread(self._documents.all, ("rule",))
        self._documents.on_change.append(self._changed)
        for document in documents:
            self._load(document)
        if self._store.exists or self.loaded.enabled():
            await asyncio.to_thread(self.store)
            self.actions.start()
        if self.loaded.enabled():
            await self._resume()
            self._begin()

    async def close(self) -> None:
        """End; :meth:`close_store` is to follow when the last message is decoded."""
        if self._ticking is not None:
            self._ticking.cancel()
        await self.actions.close()

    def close_store(self) -> None:
        """Keep every state and close the database. Blocks; no event loop runs any of this any more."""
        store = self._store.take()
        if store is None:
            return
        try:
            if self.is_active and self._series.decoder.between_blocks:
                change = self._keeping.last_change(self._plans.values(), self._series.decoder.decoded_seq)
                with contextlib.suppress(ArmillaryError):  # the log has everything; it is evaluated again
                    store.commits.submit(change).result()
        finally:
            self.is_active = False
            store.close()

    # From the hub -------------------------------------------------------------------------------------------

    def measured(self, device: int, telemetry: Telemetry, seq: int, received_ms: int) -> None:
        """A message was decoded."""
        if not self.is_active:
            return
        self._time.reached_ms = received_ms
        device_id = self._known.name_of(device)
        if device_id is None:
            return
        plan = self._plan(device_id)
        if seq <= plan.done_seq:
            return  # evaluated before the start
        if seq > plan.open_seq:
            plan.done_seq = plan.open_seq
            plan.open_seq = seq
        running = plan.looking_at(telemetry.values)
        if not running:
            return
        now_ms = plan.now_ms = max(plan.now_ms, received_ms)
        event = Event(telemetry.at_ms, telemetry.values, telemetry.at_ms != received_ms)
        for each in running:
            if each.loaded.since_ms <= received_ms:
                self._step(each, event, now_ms)

    def device_changed(self, device_id: str) -> None:
        """What is known of a device changed (twin, template, cloud property, owner); from any thread."""
        if self._loop is not None and self.is_active:
            with contextlib.suppress(RuntimeError):  # the loop is closed: everything is read again at the next start
                self._loop.call_soon_threadsafe(self._look_again, device_id)

    def settle(self) -> None:
        """A slice of decoding is over: keep what came of it, if a block ended there."""
        decoder = self._series.decoder
        if self.is_active and decoder.between_blocks:
            self._keeping.settle(self._plans.values(), decoder.decoded_seq)

    # For people ---------------------------------------------------------------------------------------------

    def count(self) -> dict[str, int]:
        """Everything rules count, by name; names ending in ``_now`` go up and down."""
        return {
            **asdict(self.counters),
            "rule_traces_dropped": self.traces.dropped,
            "rules_enabled_now": len(self.loaded.enabled()),
            "rule_deadlines_now": len(self._deadlines),
            "rule_firings_uncommitted_now": self._keeping.waiting,
            "rule_firings_uncommitted_age_s_now": int(self._keeping.age_s),
            **self.actions.count(),
        }

    def trace(self, rule_id: str, device_id: str) -> list[dict[str, Any]]:
        """The last evaluations of a rule for a device in words, newest first."""
        loaded = self.loaded.get(rule_id)
        return [] if loaded is None else self.traces.in_words(loaded, device_id)

    def state_of(self, rule_id: str, device_id: str) -> str | None:
        """``clear``, ``pending`` or ``active``; None when the rule does not look at the device (or has not yet)."""
        plan = self._plans.get(device_id)
        for each in () if plan is None else plan.running:
            if each.loaded.id == rule_id:
                return each.state.phase
        return None

    # Rules that change --------------------------------------------------------------------------------------

    def _load(self, document: Document) -> None:
        try:
            self.loaded.take(document)
        except InvalidArgumentError as error:  # imported past the API's check
            self.counters.rules_unreadable += 1
            _log.error("hub.rule-unreadable", rule=document.id, why=error.message)

    def _changed(self, documents: Sequence[Document]) -> None:
        """Documents changed; in the thread that changed them."""
        if self._loop is None:
            return
        rules = [each for each in documents if each.kind == "rule"]
        devices = [each.id for each in documents if each.kind == "device"]
        groups = {each.id for each in documents if each.kind == "group"}
        if rules:
            self.store()  # in this thread: opening it waits for the disk
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if rules:
                self._loop.call_soon_threadsafe(self._apply, rules)
            if groups & self.loaded.groups:
                self._loop.call_soon_threadsafe(self._read_again)
            if self.is_active:
                for device_id in devices:
                    self._loop.call_soon_threadsafe(self._look_again, device_id)

    def _apply(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self.traces.forget(document.id)
            self._load(document)
        self._keeping.post(begun_anew([each.id for each in documents], self.now_ms()))
        if gone := [each.id for each in documents if each.body is None]:
            self._keeping.post(withdrawn(gone, self.now_ms()), lambda *_: self.actions.wake())
        self.actions.start()
        was_active, enabled = self.is_active, bool(self.loaded.enabled())
        if enabled and not was_active:
            self._keeping.post(keep((), (), self._series.decoder.decoded_seq))
            self._begin()
        elif was_active and not enabled:
            self._end()
        elif enabled:
            self._make_again()

    def _begin(self) -> None:
        self.is_active = True
        self._keeping.begin()
        self._make_again()
        if self._ticking is None and self._loop is not None:
            self._ticking = self._loop.create_task(self._tick(), name="hub-rules")

    def _end(self) -> None:
        """The last enabled rule was disabled: drop all states."""
        self.is_active = False
        self._keeping.post(forgotten(self._plans))
        self._keeping.end()
        self._plans.clear()
        self._deadlines.clear()
        self._survey = None
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def _make_again(self) -> None:
        self._settle_rules()
        self._survey = self._surveyed()

    def _settle_rules(self) -> None:
        if self.loaded.settle():
            for plan in self._plans.values():
                plan.facts = None

    def _read_again(self) -> None:
        """A device group that rules are for was changed."""
        for plan in self._plans.values():
            plan.facts = None
        self._make_again()

    def _surveyed(self) -> Iterator[None]:
        """Make the plans of all devices that are known: for rules that the clock begins, and to let go of old ones."""
        ids = self._known.read()
        self._surveyed_at = time.monotonic()
        for device_id in {*ids, *self._plans}:
            known = self._plans.get(device_id)
            is_new = known is None or known.made != self.loaded.number
            plan = self._plan(device_id)
            for each in plan.running if is_new else ():
                if not each.loaded.names and not each.loaded.by_clock and not each.loaded.rule.repeat:
                    self._step(each, Event(plan.now_ms, None), plan.now_ms)  # properties are as they are
            yield

    # Devices ------------------------------------------------------------------------------------------------

    def _plan(self, device_id: str) -> Plan:
        plan = self._plans.get(device_id)
        if plan is None:
            plan = self._plans[device_id] = Plan(device_id)
        is_old = bool(self.loaded.groups) and time.monotonic() - plan.read_at > GROUP_AGE_S
        if is_old:
            plan.facts = None
        if is_old or plan.made != self.loaded.number:
            self._make(plan)
        return plan

    def _make(self, plan: Plan) -> None:
        """Choose the rules of a device, with what is known of it."""
        now_ms, loaded = self._time.moment_ms(), self.loaded
        facts, catalog = plan.facts, plan.catalog
        try:
            if facts is None or not loaded.sections <= facts.properties.keys():
                since_ms = self._time.listening_since_ms
                facts, catalog = self._facts.read(plan.device_id, loaded.sections, since_ms, loaded.groups)
                plan.read_at = time.monotonic()
        except Exception:  # noqa: BLE001 - what is known is not readable now: tried again with the next message
            self.counters.rule_faults += 1
            _log.exception("hub.rule-facts-not-readable", device=plan.device_id[:16])
            return
        for each in plan.make(loaded.enabled(), facts, catalog, loaded.number, now_ms):
            self._deadlines.schedule(each)

    def _look_again(self, device_id: str) -> None:
        """Read what is known of a device again, and evaluate the rules that look at properties."""
        if not self.is_active:
            return
        plan = self._plans.get(device_id)
        if plan is None:
            plan = self._plans[device_id] = Plan(device_id)
        plan.facts = None
        self._make(plan)
        now_ms = plan.now_ms = max(plan.now_ms, self._time.moment_ms())
        for each in plan.running:
            if each.loaded.sections and not each.loaded.program.tumbling:
                self._step(each, Event(now_ms, None), now_ms)
        self.settle()

    # Evaluating ---------------------------------------------------------------------------------------------

    def _step(self, each: Running, event: Event | None, now_ms: int) -> None:
        """Evaluate one rule for one device; whatever is wrong with it, the others go on."""
        plan, loaded = each.plan, each.loaded
        if plan.facts is None:
            return
        try:
            taken = None if event is None else loaded.fast_path.take(each.state, event, now_ms, plan.facts)
            if taken is None:
                state, entries = step(loaded.program, each.state, event, now_ms, plan.facts)
                news = news_of(each, state.firings, entries, self.actions.is_heard) if entries else []
        except Exception:  # noqa: BLE001 - the outermost loop of evaluation: one rule must not end the others
            self.counters.rule_faults += 1
            _log.exception("hub.rule-fault", rule=loaded.id, device=plan.device_id[:16])
            return
        plan.is_dirty = True
        if taken is not None:
            each.state, note = taken
            self.counters.rule_evaluations += 1
            self.traces.add_one(loaded.id, plan.device_id, note)
        else:
            each.state = state
            self.counters.rule_evaluations += len(entries)
            if entries:
                self.traces.add(loaded.id, plan.device_id, entries)
            if news:
                self._keeping.note(plan, news)
        if each.state.deadline_ms:
            self._deadlines.schedule(each)

    # Time ---------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self.loaded.groups and self._survey is None and time.monotonic() - self._surveyed_at > GROUP_AGE_S:
                self._survey = self._surveyed()
            while self._survey is not None:
                self._continue_survey()
                await asyncio.sleep(SLICE_S)  # others have the loop for as long
            self._look_for_new_devices()
            self._look_at_deadlines()
            self.settle()

    def _continue_survey(self) -> None:
        until = time.perf_counter() + SLICE_S
        while self._survey is not None and time.perf_counter() < until:
            if next(self._survey, self) is self:
                self._survey = None

    def _look_for_new_devices(self) -> None:
        """Devices that connected for the first time: the clock begins for them."""
        for device_id in self._known.newly_met():
            if device_id not in self._plans:
                self._plan(device_id)

    def _look_at_deadlines(self) -> None:
        """Evaluate what is due, as far as every message that arrived before was evaluated."""
        horizon = self._time.horizon_ms()
        for each in self._deadlines.due(horizon, time.perf_counter() + SLICE_S):
            each.plan.now_ms = max(horizon, each.plan.now_ms)
            self._step(each, None, each.plan.now_ms)

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return self._time.now_ms()

    # After a restart ----------------------------------------------------------------------------------------

    async def _resume(self) -> None:
        """Restore the states that were kept, and evaluate the messages that were not evaluated before the hub ended."""
        store, series = self.store(), self._series
        evaluated = await asyncio.to_thread(store.evaluated)
        for row in await asyncio.to_thread(store.states):
            self._plans[row.device_id] = plan = Plan(row.device_id)
            plan.restore(row)
        self._known.read()
        self._settle_rules()
        if evaluated < 0:
            await store.commits.run(keep((), (), series.decoder.decoded_seq))
        if not 0 <= evaluated < series.decoder.decoded_seq:
            return
        self.is_active = self._time.is_replaying = True
        follower = series.follower(evaluated, self.measured)
        while follower.work(SLICE_S):  # noqa: ASYNC110 - works in slices, waits for nothing
            await asyncio.sleep(0)
        self._time.is_replaying = False
        for plan in self._plans.values():
            plan.done_seq = plan.open_seq
