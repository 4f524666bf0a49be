# SPDX-License-Identifier: Apache-2.0
"""What readings of one piece of equipment become: messages about values worth sending, events, alarms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from armillary.guard.clock import Pair
from armillary.guard.compiling import CompiledProfile
from armillary.guard.observation.alarming import Alarms
from armillary.guard.observation.deriving import Deriver
from armillary.guard.observation.events import Events
from armillary.guard.observation.reporting import Reporter
from armillary.guardian.durable_file import read_if_there, write_file
from armillary.guardian.log import log
from armillary.guardian.messages import Stamping, body_of, telemetry
from armillary.wire.equipment.message import MessageKind, Outgoing
from armillary.wire.equipment.reading import Reading

Raised = frozenset[tuple[str, str]]  # Alarms that stand: name and point


class Observer:
    """Follows the readings of one piece of equipment; ``folder`` remembers which alarms stand."""

    def __init__(self, compiled: CompiledProfile, stamping: Stamping, folder: Path) -> None:
        profile = compiled.profile
        self._stamping = stamping
        self._reports = compiled.reports
        self._reporter = Reporter(compiled.reports)
        self._deriver = Deriver(profile) if profile.derived else None
        # What was worked out last: a change that came too early to be sent goes with the next readings, whichever
        # these are. Equipment that sends by itself may say nothing more of the inputs for hours.
        self._worked_out: dict[str, Reading] = {}
        self._events = Events(profile.events) if profile.events else None
        self._path = folder / f"{stamping.equipment}.alarms"
        self._alarms = Alarms(profile, _standing(self._path)) if profile.alarms else None

    def take(self, readings: Sequence[Reading], moment: Pair) -> list[Outgoing]:
        """The messages that these readings of one moment are worth."""
        now = moment.monotonic
        found: list[Outgoing] = []
        derived = [] if self._deriver is None else self._deriver.take(readings, now)
        if self._alarms is not None and (changes := self._alarms.take([*readings, *derived], now)):
            found += [self._message(MessageKind.ALARM, body_of(each.body()), moment) for each in changes]
        if self._events is not None:
            ended = self._events.take(readings, now)
            found += [self._message(MessageKind.EVENT, body_of(each.body()), moment) for each in ended]
        self._worked_out |= {each.point: each for each in derived}
        if worth := self._reporter.take([*readings, *self._worked_out.values()], now):
            found.append(self._message(MessageKind.TELEMETRY, telemetry(worth), moment))
        return found

    @property
    def raised(self) -> Raised:
        """The alarms that stand."""
        return frozenset() if self._alarms is None else self._alarms.raised

    def remember(self, raised: Raised) -> None:
        """Write down that these alarms stand, once their messages are kept: one that is told twice does no harm.

        Waits for the disk.
        """
        try:
            write_file(self._path, json.dumps(sorted(raised)).encode())
        except OSError as error:  # The alarm itself goes out; after a restart it may be raised once more
            log(f"{self._stamping.equipment}: which alarms stand cannot be kept: {error}")

    def standing(self, moment: Pair) -> list[Outgoing]:
        """Messages that say again which alarms stand, as of now; the next reading of each point is said again as well.

        What waited comes to the hub as history, which moves no last value.
        """
        self._reporter = Reporter(self._reports)
        changes = [] if self._alarms is None else self._alarms.standing
        return [self._message(MessageKind.ALARM, body_of(each.body()), moment) for each in changes]

    def _message(self, kind: MessageKind, body: bytes, moment: Pair) -> Outgoing:
        return self._stamping.message(kind, body, at=moment.wall, monotonic=moment.monotonic)


def _standing(path: Path) -> list[tuple[str, str]]:
    """The alarms that stood when the guardian last stopped; none where nobody knows."""
    try:
        kept = json.loads(read_if_there(path) or b"[]")
        return [(str(name), str(point)) for name, point in kept]
    except (OSError, ValueError, TypeError) as error:
        log(f"{path.name}: {error}")
        return []
