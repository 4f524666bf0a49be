# SPDX-License-Identifier: Apache-2.0
"""Seals hours that are over and deletes data past its retention, one slice at a time, in the writer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from armillary.engines.database.port import Connection
from armillary.engines.series.log.tail import Tail
from armillary.engines.series.retention import (
    Retention,
    RetentionRule,
    Term,
    check_rules,
    forget_progress,
    prune_some,
    read_rules,
    term_of,
    write_rules,
)
from armillary.engines.series.values.seal import seal_some
from armillary.engines.series.writer import Change

# A pass of sealing and retention begins at most this often (seconds); it goes on in slices until nothing is left.
MAINTENANCE_INTERVAL_S = 30.0

# Passes after which retention looks at every hour again, about a day.
PASSES_PER_LOOK = 2880

# Passes after which it is looked up again which rule a series falls under: devices get other templates.
PASSES_PER_TERMS = 20


class Maintenance:
    """Sealing and retention of one store.

    ``retention`` applies where no rule does; ``template_of`` returns the device template of a device id, empty for
    none, and is called in the writer's thread.
    """

    def __init__(self, tail: Tail, retention: Retention, template_of: Callable[[str], str]) -> None:
        self._tail = tail
        self._retention = retention
        self._template_of = template_of
        self._begun_at = float("-inf")
        self._is_under_way = False
        self._unfinished = False
        self._passes = 0
        self._terms: dict[int, Term] = {}

    def begin(self, now_ms: int) -> Change | None:
        """The change that does one slice of sealing and deleting; None when it is not due.

        Give it to the store's ``commits``, then call :meth:`end` with its result.
        """
        begins = not self._unfinished
        if self._is_under_way or (begins and time.monotonic() - self._begun_at < MAINTENANCE_INTERVAL_S):
            return None
        self._is_under_way = True
        self._begun_at = time.monotonic()
        look = refresh = False
        if begins:
            look = self._passes % PASSES_PER_LOOK == 0
            refresh = self._passes % PASSES_PER_TERMS == 0
            self._passes += 1

        def apply(connection: Connection) -> bool:
            if look:
                forget_progress(connection)
            if seal_some(connection, now_ms):
                return True
            if refresh or not self._terms:
                self._terms = self._all_terms(connection)
            return prune_some(connection, self._terms, now_ms)

        return apply

    def end(self, *, more: bool) -> None:
        """Report the result of the change of :meth:`begin`: whether the next slice is due at once."""
        self._is_under_way = False
        self._unfinished = more

    def set_rules(self, rules: Sequence[RetentionRule]) -> Change:
        """The change that replaces the rules of retention; give it to the store's ``commits``.

        Raises:
            InvalidArgumentError: a rule is not valid.
        """
        check_rules(rules)

        def apply(connection: Connection) -> None:
            write_rules(connection, rules)
            self._terms = {}

        return apply

    def _all_terms(self, connection: Connection) -> dict[int, Term]:
        """How long each series is kept."""
        rules, names = read_rules(connection), self._tail.index.names()
        templates: dict[int, str] = {}
        if any(rule.template != "*" for rule in rules):
            templates = {
                number: self._template_of(device_id)
                for number, device_id in connection.execute("SELECT number, device_id FROM device")
            }
        known: dict[tuple[str, int], Term] = {}
        terms: dict[int, Term] = {}
        for key in self._tail.index.keys():  # noqa: SIM118 - not a dict
            place = (templates.get(key.device, ""), key.metric)
            term = known.get(place)
            if term is None:
                term = known[place] = term_of(rules, self._retention, place[0], names[key.metric])
            terms[key.number] = term
        return terms
