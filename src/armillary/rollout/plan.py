# SPDX-License-Identifier: Apache-2.0
"""plan(policy, progress, seen, now) -> what to do next, and nothing else.

Order of the rules, for a roll-out that runs:

(0) While the repository does not name what the roll-out brings (its metadata wait for an offline signature) no device
    starts, and no time runs: nobody can have it.
(1) Every started device that reported, or whose time is up, is looked at: offered, confirmed, reverted, failed, timed
    out, or gone. A silent device is a failed device: an update that takes a device off the air reports nothing. One
    that was offered the update and waits, for its maintenance window or because an application put it off, is not late:
    its time runs from when it may begin.
(2) Hold when too many failed: at least ``min_failures`` and more than ``failure_percent`` of the finished ones.
(3) Hold when an open finding of ``hold_on_severity`` or above names ``min_failures`` different started devices, or all
    of them while fewer have started. Only findings of the roll-out's catalog count: what others report stops nobody's
    update, and the word of one device among several stops none. What is no trouble that an update makes
    (``HOLDS_NONE``) stops none: devices that run what is vulnerable are the ones that need theirs.
(4) Hold when devices fail more often than with the release before (``comparison.py``). Where the crashes of both are
    counted at the same time, that test alone decides about them, and no finding that an image crashes does by (3): it
    would hold every release of a fleet in which something crashes now and then.
(5) Hold when the newest cohort has finished and can no longer reach ``success_percent``.
(6) A device that joins late starts when its place was reached: with the newest cohort.
(7) Wait until all of the newest cohort have started, it has reached ``success_percent`` and has soaked for ``soak_s``
    since then.
(8) Start the next cohort: the rings one by one, then the percentages. After the last one, finish.

Resuming is a person's word that what is known so far is acceptable: failures and findings from before
``progress.since`` do not hold it again, and no time ran for devices while it was held: what is held is offered to
nobody. A held roll-out is only looked at (1). A roll-out that rolls back is done when every device it had started runs
what it ran before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from armillary.rollout.cohort import due_of
from armillary.rollout.comparison import SIGNALS, CrashRates, Signal, worse_than_before
from armillary.rollout.policy import RolloutPolicy
from armillary.rollout.tally import FAILED, FINISHED, LEFT, UNFINISHED, Tally
from armillary.wire.device.finding import SEVERITIES, Finding

# Findings that say nothing about an update that their devices have begun.
HOLDS_NONE: Final = frozenset(
    {"rollout-held", "vulnerability-in-field", "vulnerability-reported", "support-ending", "feed-stale", "clock"}
)
NOT_NAMED: Final = "the repository does not name it yet; what lacks signatures: armillary release keys show"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutProgress:
    """Where the roll-out stands.

    Attributes:
        since: When it began to run, or was last resumed.
        cohort: Index of the newest started cohort, -1 before the first.
        due: Devices of that cohort that have not started yet.
        reached_at: Since when that cohort has its ``success_percent``; None: it has not.
    """

    catalog_id: UUID | None
    state: str
    cohort: int
    since: int
    due: int = 0
    reached_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutMember:
    """One device of the roll-out's reach.

    Attributes:
        state: As recorded; "" when it has not started.
        cohort: The cohort it started with, -1 when it has not.
        offered: Its last check-in offered it the roll-out's deployment.
        converged: It runs exactly the roll-out's images, none on trial or failed.
        restored: It runs what it ran before, or never changed.
        failure: ``reverted`` or ``failed`` as it reported about these images, "" otherwise; ``reason`` in its words.
        timed_from: From when its time runs, as recorded, where that is later than its start.
        may_begin_at: From when on it may install what it was offered, as of its last check-in; None for one that has
            not been offered it.
        reached: It has its turn: its place, or a ring that names it, was reached.
        gone: It is in another group now, or revoked.
    """

    device_id: str
    state: str
    cohort: int
    started_at: int | None
    finished_at: int | None
    offered: bool
    converged: bool
    restored: bool
    failure: str
    reason: str
    timed_from: int | None = None
    may_begin_at: int | None = None
    reached: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Alarm:
    """A finding and how many different started devices it names."""

    finding: Finding
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen of a roll-out.

    Attributes:
        members: Devices that reported since the last plan, or whose time is up.
        tally: All started devices, as recorded.
        devices: Devices in the roll-out's reach, started or not.
        alarms: The catalog's findings that are not closed.
        crashed: Started devices that findings name because one of the roll-out's images crashes there.
        before: By signal of ``comparison.py``: devices that failed so with the release before, and all that tried it.
        rates: How often devices crash with the release and with the one before; None where these cannot be compared.
            ``alarms`` and ``crashed`` then say nothing of crashes.
        is_named: The repository names everything that the roll-out brings, so that devices can have it.
    """

    members: Sequence[RolloutMember]
    tally: Tally
    devices: int
    alarms: Sequence[Alarm] = ()
    crashed: int = 0
    before: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rates: CrashRates | None = None
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class DeviceMove:
    """A device whose recorded state changes.

    Attributes:
        reason: Why it failed, "" where it did not.
        failure: In which way a device had failed that is restored now, where that was not known before.
        timed_from: From when its time runs, where that is another moment than recorded.
    """

    device_id: str
    state: str
    reason: str
    failure: str = ""
    timed_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """What to do.

    Attributes:
        moves: Devices whose state changed.
        start: Devices that joined late and start with ``cohort``.
        cohort: Index of the newest cohort after this plan.
        due: How many devices of it have still to be started, in the order of the roll-out; those of a ring are all
            that it names.
        reached_at: Since when it has its ``success_percent``.
        event: Event for the roll-out's state table, or "".
        waits: Why no device is started now, "" where nothing keeps it.
    """

    moves: tuple[DeviceMove, ...]
    start: tuple[str, ...] = ()
    cohort: int
    due: int = 0
    reached_at: int | None = None
    event: str = ""
    reason: str = ""
    finding_id: UUID | None = None
    waits: str = ""


def plan(policy: RolloutPolicy, progress: RolloutProgress, seen: Sight, now: int) -> RolloutPlan:
    """The next steps of a roll-out; see the rules above."""
    if progress.state == "rolling-back":
        return _rolling_back(progress, seen)
    looked = (_look(policy, progress, member, now, is_named=seen.is_named) for member in seen.members)
    moves = tuple(move for move in looked if move is not None)
    if progress.state != "running":
        return RolloutPlan(moves=moves, cohort=progress.cohort, due=progress.due, reached_at=progress.reached_at)
    tally = _moved(progress, seen, moves)
    if held := _hold(policy, progress, seen, tally):
        reason, finding_id = held
        event = "roll-back" if policy.roll_back_on_hold else "hold"
        return RolloutPlan(
            moves=moves, cohort=progress.cohort, due=progress.due, event=event, reason=reason, finding_id=finding_id
        )
    if not seen.is_named:
        return RolloutPlan(
            moves=moves, cohort=progress.cohort, due=progress.due, reached_at=progress.reached_at, waits=NOT_NAMED
        )
    start = tuple(one.device_id for one in seen.members if one.reached and not one.state and not one.gone)
    tally = tally.with_changes((progress.cohort, "", False, "started") for _ in start)
    if progress.cohort >= 0:
        reached_at = _reached_at(policy, progress, tally, now)
        if reached_at is None or now - reached_at < policy.soak_s:
            return RolloutPlan(
                moves=moves, start=start, cohort=progress.cohort, due=progress.due, reached_at=reached_at
            )
    return _advance(policy, progress, moves, start, tally, seen.devices)


def _look(
    policy: RolloutPolicy, progress: RolloutProgress, member: RolloutMember, now: int, *, is_named: bool
) -> DeviceMove | None:
    """(1) What a started device's state is now, if it is another than recorded."""
    if not member.state or member.started_at is None:
        return None
    if member.gone:
        return None if member.state == LEFT else _gone(member)
    timed_from, state, reason = _timed_from(member), member.state, ""
    if member.failure:
        state, reason = member.failure, member.reason
    elif member.converged:
        state = "confirmed"
    elif member.state in FINISHED:
        return None
    elif not _is_late(policy, progress, timed_from, now) or member.state not in UNFINISHED:
        state = "offered" if member.offered else state
    elif is_named:
        state, reason = "timed-out", f"not confirmed within {policy.timeout_s} s"
    else:  # it could not have it: its time begins anew
        timed_from = now
    if state in UNFINISHED and timed_from != _recorded(member):
        return DeviceMove(member.device_id, state, reason, timed_from=timed_from)
    return None if state == member.state else DeviceMove(member.device_id, state, reason)


def _timed_from(member: RolloutMember) -> int:
    """From when a started device's time runs: what it waits for may have moved, or may be no more."""
    return _recorded(member) if member.may_begin_at is None else max(member.may_begin_at, member.started_at or 0)


def _recorded(member: RolloutMember) -> int:
    return member.timed_from or member.started_at or 0


def _is_late(policy: RolloutPolicy, progress: RolloutProgress, timed_from: int, now: int) -> bool:
    return progress.state == "running" and now - max(timed_from, progress.since) >= policy.timeout_s


def _gone(member: RolloutMember) -> DeviceMove:
    return DeviceMove(member.device_id, LEFT, "it is in another group now, or revoked")


def _moved(progress: RolloutProgress, seen: Sight, moves: Sequence[DeviceMove]) -> Tally:
    """The tally after the moves."""
    known = {member.device_id: member for member in seen.members} if moves else {}

    def change(move: DeviceMove) -> tuple[int, str, bool, str]:
        member = known[move.device_id]
        recent = member.finished_at is None or member.finished_at >= progress.since
        return member.cohort, member.state, recent, move.state

    return seen.tally.with_changes(map(change, moves))


def _hold(
    policy: RolloutPolicy, progress: RolloutProgress, seen: Sight, tally: Tally
) -> tuple[str, UUID | None] | None:
    """(2) to (5): why the roll-out must stop, and the finding that says so; None while nothing does."""
    if reason := _too_many_failures(policy, tally):
        return reason, None
    if (alarm := _alarming(policy, progress, seen.alarms, tally)) is not None:
        return f"finding: {alarm.title}", alarm.finding_id
    if reason := worse_than_before(policy, _signals(seen, tally), seen.rates) or _cohort_lost(policy, progress, tally):
        return reason, None
    return None


def _too_many_failures(policy: RolloutPolicy, tally: Tally) -> str:
    """(2)."""
    failed, finished = tally.count_recent(FAILED), tally.count_recent(FINISHED)
    if failed >= policy.min_failures and failed * 100 > policy.failure_percent * finished:
        return f"{failed} of {finished} devices failed; at most {policy.failure_percent}% may"
    return ""


def _alarming(
    policy: RolloutPolicy, progress: RolloutProgress, alarms: Sequence[Alarm], tally: Tally
) -> Finding | None:
    """(3)."""
    if not policy.hold_on_severity:
        return None
    floor = SEVERITIES.index(policy.hold_on_severity)
    enough = min(policy.min_failures, tally.count())
    for alarm in alarms:
        finding = alarm.finding
        if finding.status != "open" or finding.kind in HOLDS_NONE or finding.last_seen < progress.since:
            continue
        if progress.catalog_id is not None and finding.catalog_id != progress.catalog_id:
            continue
        if alarm.started and alarm.started >= enough and SEVERITIES.index(finding.severity) >= floor:
            return finding
    return None


def _signals(seen: Sight, tally: Tally) -> tuple[Signal, ...]:
    """(4) How devices fail with this release and with the one before."""
    taken_back, silent = tally.count_recent(("reverted", "failed")), tally.count_recent(("timed-out",))
    finished = tally.count_recent(FINISHED)
    tried = zip(SIGNALS, (taken_back, silent, seen.crashed), (finished - silent, finished, finished), strict=True)
    return tuple(Signal(name, failures, trials, *seen.before.get(name, (0, 0))) for name, failures, trials in tried)


def _newest(progress: RolloutProgress, tally: Tally) -> tuple[int, int]:
    """Devices of the newest cohort, and how many of them failed; without failures that a person has accepted."""
    failed = tally.count_recent(FAILED, cohort=progress.cohort)
    accepted = tally.count(FAILED, cohort=progress.cohort) - failed
    return tally.count(cohort=progress.cohort) - accepted, failed


def _cohort_lost(policy: RolloutPolicy, progress: RolloutProgress, tally: Tally) -> str:
    """(5)."""
    devices, failed = _newest(progress, tally)
    is_under_way = progress.due or tally.count(UNFINISHED, cohort=progress.cohort)
    best = devices - failed
    if failed and not is_under_way and best * 100 < policy.success_percent * devices:
        ended = f"cohort {progress.cohort + 1} ended with {best} of {devices} devices confirmed"
        return f"{ended}; {policy.success_percent}% must be"
    return ""


def _reached_at(policy: RolloutPolicy, progress: RolloutProgress, tally: Tally, now: int) -> int | None:
    """(7) Since when the newest cohort has its ``success_percent``; None: it has not."""
    devices, _ = _newest(progress, tally)
    confirmed = tally.count(("confirmed",), cohort=progress.cohort)
    if progress.due or confirmed * 100 < policy.success_percent * devices:
        return None
    if not devices:
        return progress.since  # a ring that names nobody here
    return now if progress.reached_at is None else max(progress.since, progress.reached_at)


def _advance(
    policy: RolloutPolicy,
    progress: RolloutProgress,
    moves: tuple[DeviceMove, ...],
    start: tuple[str, ...],
    tally: Tally,
    devices: int,
) -> RolloutPlan:
    """(8)."""
    cohort, started = progress.cohort, tally.count()
    if cohort == policy.steps - 1 or started >= devices:
        # What is left over in a last cohort joined the group late: it gets the deployment as the group's own.
        reason = "every cohort is confirmed"
        return RolloutPlan(moves=moves, start=start, cohort=cohort, event="finish", reason=reason)
    cohort += 1
    rings = len(policy.rings)
    due = 0 if cohort < rings else due_of(policy.cohorts, cohort - rings, devices, started)
    return RolloutPlan(moves=moves, start=start, cohort=cohort, due=due, reason=f"cohort {cohort + 1} starts")


def _rolling_back(progress: RolloutProgress, seen: Sight) -> RolloutPlan:
    moves = tuple(move for member in seen.members if member.state and (move := _back(member)) is not None)
    tally = _moved(progress, seen, moves)
    done = tally.count() == tally.count(("restored",))
    return RolloutPlan(
        moves=moves,
        cohort=progress.cohort,
        event="restored" if done else "",
        reason="every device runs what it ran before" if done else "",
    )


def _back(member: RolloutMember) -> DeviceMove | None:
    """What changes of a device on its way back; that it failed is not forgotten when it arrives."""
    if member.gone:
        return None if member.state == LEFT else _gone(member)
    if member.state == "restored":
        return None
    new = member.failure if member.state not in FAILED else ""
    if member.restored:
        return DeviceMove(member.device_id, "restored", member.reason if new else "", new)
    if new:
        return DeviceMove(member.device_id, new, member.reason)
    return DeviceMove(member.device_id, "offered", "") if member.state == "started" and member.offered else None
