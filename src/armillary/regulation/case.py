# SPDX-License-Identifier: Apache-2.0
"""A case: a vulnerability or incident that must be reported, as its entries say. Entries are added and never changed.

===============  =====================================================  ==============================================
entry            says                                                   moves
===============  =====================================================  ==============================================
aware            since when the manufacturer knows; the first entry     the clocks from this time on
correction       another time of becoming aware, and why                them only if it is earlier
reference        an advisory, finding or vulnerability report about it  nothing
fix-available    since when there is a fix or mitigation                the last clock of an exploited vulnerability,
                                                                        by the earliest of these times
submitted        a stage was reported, when, and the authority's        ends that stage's clock, by the earliest time
                 reference
note             a text                                                 nothing
closed           why nothing more is to be done; the last entry         ends all clocks
===============  =====================================================  ==============================================

A time that would put a deadline off is kept and shown, and moves nothing: at worst a warning comes too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.regulation.clocks import AWARE, CLOCKS, FIX, KINDS, STAGES, Clock

CORRECTION: Final = "correction"
REFERENCE: Final = "reference"
SUBMITTED: Final = "submitted"
NOTE: Final = "note"
CLOSED: Final = "closed"
ENTRY_KINDS: Final = (AWARE, CORRECTION, REFERENCE, FIX, SUBMITTED, NOTE, CLOSED)
SUBJECTS: Final = ("advisory", "finding", "vulnerability-report")
# A case of years has a few dozen; each is read whenever its clocks are looked at.
MAX_ENTRIES: Final = 500
MAX_TEXT: Final = 4000  # characters of what a person writes into an entry
MAX_REFERENCE: Final = 200  # of an authority's reference, and of an id

# States of a stage.
WAITING: Final = "waiting"  # what begins its clock has not happened
RUNNING: Final = "running"
DUE_SOON: Final = "due-soon"
OVERDUE: Final = "overdue"
DONE: Final = "submitted"
LATE: Final = "submitted-late"
ENDED: Final = "not-submitted"  # the case was closed without it
STAGE_STATES: Final = (WAITING, RUNNING, DUE_SOON, OVERDUE, DONE, LATE, ENDED)

# What may be added to a case that is open, and to one that is closed.
ALLOWED: Final[Mapping[bool, frozenset[str]]] = MappingProxyType(
    {True: frozenset(ENTRY_KINDS) - {AWARE}, False: frozenset()}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """One entry. Times are Unix seconds UTC.

    Attributes:
        number: Its place in the case, from 1 on.
        recorded_at: When it was written down.
        stated_at: The time that it says: of becoming aware, of the fix, of the submission; else ``recorded_at``.
        stage: Of ``submitted``; empty otherwise.
        reference: The authority's of ``submitted``, the id of what ``aware`` and ``reference`` are about.
        subject: One of :data:`SUBJECTS`, where ``reference`` is the id of one; empty otherwise.
    """

    number: int
    kind: str
    recorded_at: int
    stated_at: int
    actor: str
    text: str = ""
    stage: str = ""
    reference: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStanding:
    """How a stage stands at a time. ``begins`` is what begins its clock; times are None before that happened."""

    stage: str
    state: str
    begins: str
    begun_at: int | None
    due_at: int | None
    warn_at: int | None
    submitted_at: int | None
    reference: str

    def remaining_s(self, now: int) -> int | None:
        """Seconds until it is due, negative when that is over; None where nothing is to be done."""
        is_over = self.submitted_at is not None or self.state == ENDED
        return None if self.due_at is None or is_over else self.due_at - now


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStanding:
    """A case as its entries say. ``aware_at`` is the earliest time that was stated."""

    aware_at: int
    fix_at: int | None
    closed_at: int | None
    stages: tuple[StageStanding, ...]

    @property
    def next_due(self) -> StageStanding | None:
        """The stage that is due first; None where nothing is."""
        waiting = [each for each in self.stages if each.state in (RUNNING, DUE_SOON, OVERDUE)]
        return min(waiting, key=lambda each: each.due_at or 0, default=None)


def standing(kind: str, entries: Sequence[CaseEntry], now: int) -> CaseStanding:
    """How a case stands at a time; ``entries`` are all of its own, the first of which says since when it is known."""
    aware_at = min(each.stated_at for each in entries if each.kind in (AWARE, CORRECTION))
    fix_at = min((each.stated_at for each in entries if each.kind == FIX), default=None)
    closed_at = next((each.recorded_at for each in entries if each.kind == CLOSED), None)
    begun: dict[str, int] = {AWARE: aware_at}
    if fix_at is not None:
        begun[FIX] = max(fix_at, aware_at)  # nothing is due of what nobody knew
    for stage in STAGES:
        sent = [each.stated_at for each in entries if each.kind == SUBMITTED and each.stage == stage]
        if sent:
            begun[stage] = min(sent)
    stages = (_stage(clock, entries, begun, closed_at, now) for clock in CLOCKS[kind])
    return CaseStanding(aware_at=aware_at, fix_at=fix_at, closed_at=closed_at, stages=tuple(stages))


def _stage(
    clock: Clock, entries: Sequence[CaseEntry], begun: Mapping[str, int], closed_at: int | None, now: int
) -> StageStanding:
    begun_at, submitted_at = begun.get(clock.begins), begun.get(clock.stage)
    due_at = None if begun_at is None else clock.ends_at(begun_at)
    sent = [each for each in entries if each.kind == SUBMITTED and each.stage == clock.stage]
    return StageStanding(
        stage=clock.stage,
        state=_state(clock, due_at, submitted_at, closed_at, now),
        begins=clock.begins,
        begun_at=begun_at,
        due_at=due_at,
        warn_at=None if due_at is None else due_at - clock.warn_s,
        submitted_at=submitted_at,
        reference=next((each.reference for each in reversed(sent) if each.reference), ""),
    )


def _state(clock: Clock, due_at: int | None, submitted_at: int | None, closed_at: int | None, now: int) -> str:
    if submitted_at is not None:
        return LATE if due_at is not None and submitted_at > due_at else DONE
    if closed_at is not None:
        return ENDED
    if due_at is None:
        return WAITING
    if now > due_at:
        return OVERDUE
    return DUE_SOON if now >= due_at - clock.warn_s else RUNNING


def check_entry(entry: CaseEntry, before: Iterable[CaseEntry], now: int) -> CaseEntry:
    """``entry``, if it may follow those of before.

    Raises:
        ConflictError: the case is closed, or has as many entries as it may.
        InvalidArgumentError: a time in the future, a report before anybody was aware, a stage that there is not, or a
            text that is missing.
    """
    known = list(before)
    is_open = not any(each.kind == CLOSED for each in known)
    if entry.kind != AWARE and entry.kind not in ALLOWED[is_open]:
        raise ConflictError("the case is closed", remedy="Begin another one: armillary case aware.")
    if len(known) >= MAX_ENTRIES and entry.kind != CLOSED:
        raise ConflictError(f"the case has {MAX_ENTRIES} entries", remedy="Close it, and begin another one.")
    if not 0 < entry.stated_at <= now:
        raise InvalidArgumentError(
            f"at: expected a time until now ({now}), got {entry.stated_at}",
            remedy="What has not happened yet cannot be recorded; times are Unix seconds UTC.",
        )
    if entry.kind == SUBMITTED and entry.stage not in STAGES:
        raise InvalidArgumentError(
            f"stage: expected {', '.join(STAGES)}, got {entry.stage!a:.40}", remedy="Use one of these words."
        )
    aware_at = min((each.stated_at for each in known if each.kind in (AWARE, CORRECTION)), default=0)
    if entry.kind == SUBMITTED and entry.stated_at < aware_at:
        raise InvalidArgumentError(
            f"at: expected a time from becoming aware ({aware_at}) on, got {entry.stated_at}",
            remedy="Nothing is reported that nobody knows. If it was known earlier: armillary case correct.",
        )
    if entry.kind in (CORRECTION, NOTE, CLOSED) and not entry.text.strip():
        raise InvalidArgumentError(f"{entry.kind}: expected a text that says why", remedy="Say it in a sentence.")
    return entry


def check_kind(kind: str) -> str:
    """``kind``, if there are cases of it; InvalidArgumentError otherwise."""
    if kind not in KINDS:
        raise InvalidArgumentError(
            f"kind: expected {' or '.join(KINDS)}, got {kind!a:.40}", remedy="Use one of these words."
        )
    return kind
