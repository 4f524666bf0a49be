# SPDX-License-Identifier: Apache-2.0
"""The lives of one case, each followed once: most cuts leave what an earlier one left, as far as the device looks.

This leaves nothing out: a life is what it is for the answers that its flash gave (``known.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from armillary.sim.power.asked import Asked
from armillary.sim.power.case import Case
from armillary.sim.power.flash import PowerFlash
from armillary.sim.power.known import Ending, Known

_KEPT: Final = Ending()


class Lives:
    """The lives of ``case``; ``followed`` counts those that were not known."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.followed = 0
        self._known = Known()

    def ending(self, durable: Mapping[str, bytes], told: frozenset[object]) -> Ending:
        """How the life ends that begins with this flash, and a service that was told so much."""
        known = self._known.find(told, lambda question: question.answer(durable))
        if known is not None:
            return known
        asked = Asked(durable)
        _, ending = self.follow(durable, told, asked=asked)
        self._known.learn(told, asked.answers, ending)
        return ending

    def follow(
        self,
        durable: Mapping[str, bytes],
        told: frozenset[object],
        *,
        flaws: Collection[int] = (),
        asked: Asked | None = None,
    ) -> tuple[PowerFlash | None, Ending]:
        """A life lived to its end, with the flash after it; None in its place where a promise was broken."""
        self.followed += 1
        try:
            return self.case.live(durable, told, flaws=flaws, asked=asked), _KEPT
        except Exception as error:  # noqa: BLE001 - whatever ends a device's software leaves it without: a finding
            return None, Ending(error)
