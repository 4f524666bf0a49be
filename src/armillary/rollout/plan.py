# SPDX-License-Identifier: Apache-2.0
"""plan(policy, progress, inventory, findings, now) -> what to do next, and nothing else.

Order of the rules, for a roll-out that runs:

(1) Every started device is looked at: offered, confirmed, reverted, failed or timed out. A silent device is a failed
    device: an update that takes a device off the air reports nothing.
(2) Hold when too many failed: at least ``min_failures`` and more than ``failure_percent`` of the finished ones.
(3) Hold when an open finding of ``hold_on_severity`` or above names ``min_failures`` different started devices, or all
    of them while fewer have started. Only findings of the roll-out's catalog count: what others report stops nobody's
    update, and the word of one device among several stops none.
(4) Hold when the newest cohort has finished and can no longer reach ``success_percent``.
(5) Wait until the newest cohort has reached ``success_percent`` and has soaked for ``soak_s`` since then.
(6) Start the next cohort; after the last one, finish.

Resuming is a person's word that what is known so far is acceptable: failures and findings from before
``progress.since`` do not hold it again. A held roll-out is only looked at (1). A roll-out that rolls back is done when
every device it had started runs what it ran before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.rollout.cohort import in_order, size_after
from armillary.rollout.policy import RolloutPolicy
from armillary.wire.device.finding import SEVERITIES, Finding

FAILED: Final = ("reverted", "failed", "timed-out")
FINISHED: Final = ("confirmed", *FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutProgress:
    """Where the roll-out stands.

    Attributes:
        since: When it began to run, or was last resumed.
        cohort: Index of the newest started cohort, -1 before the first.
    """

    rollout_id: UUID
    catalog_id: UUID
    state: str
    cohort: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutMember:
    """One device of the group.

    Attributes:
        state: As recorded; "" when it has not started.
        cohort: The cohort it started with, -1 when it has not.
        offered: Its last check-in offered it the roll-out's deployment.
        converged: It runs exactly the roll-out's images, none on trial or failed.
        restored: It runs what it ran before, or never changed.
        failure: ``reverted`` or ``failed`` as it reported about these images, "" otherwise; ``reason`` in its words.
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


@dataclass(frozen=True, slots=True)
class DeviceMove:
    """A device whose recorded state changes.

    Attributes:
        reason: Why it failed, "" where it did not.
        failure: In which way a device had failed that is restored now, where that was not known before.
    """

    device_id: str
    state: str
    reason: str
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """What to do.

    Attributes:
        moves: Devices whose state changed.
        start: Devices to start, with ``cohort``.
        cohort: Index of the newest cohort after this plan.
        event: Event for the roll-out's state table, or "".
    """

    moves: tuple[DeviceMove, ...]
    start: tuple[str, ...]
    cohort: int
    event: str
    reason: str
    finding_id: UUID | None = None


def plan(
    policy: RolloutPolicy,
    progress: RolloutProgress,
    inventory: Sequence[RolloutMember],
    findings: Iterable[Finding],
    now: int,
) -> RolloutPlan:
    """The next steps of a roll-out; see the rules above."""
    if progress.state == "rolling-back":
        return _rolling_back(progress, inventory)
    moves = tuple(move for member in inventory if (move := _look(policy, member, now)) is not None)
    if progress.state != "running":
        return RolloutPlan(moves=moves, start=(), cohort=progress.cohort, event="", reason="")
    states = {member.device_id: (member.state, member.finished_at) for member in inventory if member.state}
    states.update({move.device_id: (move.state, now) for move in moves})
    reason, alarm = _too_many_failures(policy, progress, states), None
    if not reason and (alarm := _alarming(policy, progress, states, findings)) is not None:
        reason = f"finding: {alarm.title}"
    if reason := reason or _cohort_lost(policy, progress, inventory, states):
        event = "roll-back" if policy.roll_back_on_hold else "hold"
        found = None if alarm is None else alarm.finding_id
        return RolloutPlan(moves=moves, start=(), cohort=progress.cohort, event=event, reason=reason, finding_id=found)
    if progress.cohort >= 0 and not _cohort_good(policy, progress, inventory, states, now):
        start = _late(policy, progress, inventory)
        return RolloutPlan(moves=moves, start=start, cohort=progress.cohort, event="", reason="")
    return _advance(policy, progress, inventory, moves)


def _look(policy: RolloutPolicy, member: RolloutMember, now: int) -> DeviceMove | None:
    """(1) What a started device's state is now, if it is another than recorded."""
    if not member.state or member.started_at is None:
        return None
    if member.failure:
        state, reason = member.failure, member.reason
    elif member.converged:
        state, reason = "confirmed", ""
    elif member.state in FINISHED:
        return None
    elif now - member.started_at >= policy.timeout_s:
        state, reason = "timed-out", f"not confirmed within {policy.timeout_s} s"
    elif member.offered:
        state, reason = "offered", ""
    else:
        return None
    return None if state == member.state else DeviceMove(member.device_id, state, reason)


def _since(progress: RolloutProgress, states: dict[str, tuple[str, int | None]], wanted: tuple[str, ...]) -> int:
    return sum(1 for state, at in states.values() if state in wanted and (at is None or at >= progress.since))


def _too_many_failures(
    policy: RolloutPolicy, progress: RolloutProgress, states: dict[str, tuple[str, int | None]]
) -> str:
    """(2)."""
    failed, finished = _since(progress, states, FAILED), _since(progress, states, FINISHED)
    if failed >= policy.min_failures and failed * 100 > policy.failure_percent * finished:
        return f"{failed} of {finished} devices failed; at most {policy.failure_percent}% may"
    return ""


def _alarming(
    policy: RolloutPolicy,
    progress: RolloutProgress,
    states: dict[str, tuple[str, int | None]],
    findings: Iterable[Finding],
) -> Finding | None:
    """(3)."""
    if not policy.hold_on_severity:
        return None
    floor = SEVERITIES.index(policy.hold_on_severity)
    enough = min(policy.min_failures, len(states))
    for finding in findings:
        if finding.status != "open" or finding.kind == "rollout-held" or finding.last_seen < progress.since:
            continue
        if finding.catalog_id != progress.catalog_id:
            continue
        named = len(states.keys() & set(finding.device_ids))
        if named and named >= enough and SEVERITIES.index(finding.severity) >= floor:
            return finding
    return None


def _newest(
    progress: RolloutProgress, inventory: Sequence[RolloutMember], states: dict[str, tuple[str, int | None]]
) -> list[tuple[str, int | None]]:
    """State and time of the newest cohort's devices, without the failures a person has accepted by resuming."""
    mine = [states[member.device_id] for member in inventory if member.cohort == progress.cohort and member.state]
    return [(state, at) for state, at in mine if not (state in FAILED and at is not None and at < progress.since)]


def _cohort_lost(
    policy: RolloutPolicy,
    progress: RolloutProgress,
    inventory: Sequence[RolloutMember],
    states: dict[str, tuple[str, int | None]],
) -> str:
    """(4)."""
    newest = _newest(progress, inventory, states)
    failed = sum(1 for state, _ in newest if state in FAILED)
    best = len(newest) - failed
    if failed and all(state in FINISHED for state, _ in newest) and best * 100 < policy.success_percent * len(newest):
        ended = f"cohort {progress.cohort + 1} ended with {best} of {len(newest)} devices confirmed"
        return f"{ended}; {policy.success_percent}% must be"
    return ""


def _cohort_good(
    policy: RolloutPolicy,
    progress: RolloutProgress,
    inventory: Sequence[RolloutMember],
    states: dict[str, tuple[str, int | None]],
    now: int,
) -> bool:
    """(5)."""
    newest = _newest(progress, inventory, states)
    needed = -(-policy.success_percent * len(newest) // 100)
    times = sorted(now if at is None else at for state, at in newest if state == "confirmed")
    if len(times) < needed:
        return False
    reached_at = max(progress.since, times[needed - 1]) if needed else progress.since
    return now - reached_at >= policy.soak_s


def _advance(
    policy: RolloutPolicy, progress: RolloutProgress, inventory: Sequence[RolloutMember], moves: tuple[DeviceMove, ...]
) -> RolloutPlan:
    """(6)."""
    cohort = progress.cohort
    waiting = [member.device_id for member in inventory if not member.state]
    if cohort == len(policy.cohorts) - 1 or not waiting:
        # What is left over in a last cohort joined the group late: it gets the deployment as the group's own.
        return RolloutPlan(moves=moves, start=(), cohort=cohort, event="finish", reason="every cohort is confirmed")
    cohort += 1
    started = len(inventory) - len(waiting)
    wanted = size_after(policy.cohorts, cohort, len(inventory)) - started
    start = tuple(in_order(progress.rollout_id, waiting)[: max(1, wanted)])
    return RolloutPlan(moves=moves, start=start, cohort=cohort, event="", reason=f"cohort {cohort + 1} starts")


def _late(policy: RolloutPolicy, progress: RolloutProgress, inventory: Sequence[RolloutMember]) -> tuple[str, ...]:
    """Devices that joined the group while its last cohort is under way start with it."""
    if progress.cohort != len(policy.cohorts) - 1:
        return ()
    return tuple(in_order(progress.rollout_id, [member.device_id for member in inventory if not member.state]))


def _rolling_back(progress: RolloutProgress, inventory: Sequence[RolloutMember]) -> RolloutPlan:
    started = [member for member in inventory if member.state]
    moves = tuple(move for member in started if (move := _back(member)) is not None)
    done = all(member.restored or member.state == "restored" for member in started)
    return RolloutPlan(
        moves=moves,
        start=(),
        cohort=progress.cohort,
        event="restored" if done else "",
        reason="every device runs what it ran before" if done else "",
    )


def _back(member: RolloutMember) -> DeviceMove | None:
    """What changes of a device on its way back; that it failed is not forgotten when it arrives."""
    if member.state == "restored":
        return None
    new = member.failure if member.state not in FAILED else ""
    if member.restored:
        return DeviceMove(member.device_id, "restored", member.reason if new else "", new)
    return DeviceMove(member.device_id, new, member.reason) if new else None
