# SPDX-License-Identifier: Apache-2.0
"""What is declared of a product, and where its support stands. Pure.

The facts are those that a maker states in the EU's Cyber Resilience Act (Regulation (EU) 2024/2847, Annex II: contact,
intended use, end of the support period) and in the United Kingdom's PSTI regulations (minimum update period with its
end): reports, dossiers and traces read them here. What is not declared stays unknown; nothing is made up for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.records.queries.catalogs import ENDING_S
from armillary.engines.records.schema.rows import Product
from armillary.errors import InvalidArgumentError
from armillary.wire.text.given_text import check_given_text

DAY_S: Final = 86_400
# Fact -> most characters: a name or an address fits a line of a report, what a product is for a short paragraph.
_TEXTS: Final[Mapping[str, int]] = {"manufacturer": 200, "contact": 200, "intended_use": 1000}
_TIMES: Final = ("support_ends", "placed_on_market")
FACTS: Final = (*_TIMES, *_TEXTS)
# 9999-12-31: what follows has no date in most calendars, Python's among them.
MAX_TIME: Final = 253_402_300_799
# undeclared: nobody said until when; ending: within 180 days; ended: it is over.
SUPPORT_STATES: Final = ("undeclared", "supported", "ending", "ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """A product with where its support stands.

    Attributes:
        support: One of :data:`SUPPORT_STATES`.
        days_left: Whole days until its support ends, negative afterwards; None if nothing is declared.
        devices: How many its device groups have.
    """

    product: Product
    support: str
    days_left: int | None
    devices: int


def support_state(support_ends: int | None, now: int) -> str:
    """Where support stands at ``now``; both are Unix seconds."""
    if support_ends is None:
        return "undeclared"
    if support_ends <= now:
        return "ended"
    return "ending" if support_ends - now <= ENDING_S else "supported"


def supported(product: Product, devices: int, now: int) -> Supported:
    """A product with where its support stands at ``now``."""
    ends = product.support_ends
    left = None if ends is None else (ends - now) // DAY_S
    return Supported(product=product, support=support_state(ends, now), days_left=left, devices=devices)


def checked_facts(facts: Mapping[str, object]) -> dict[str, Any]:
    """Facts that may be declared; a time may be None, a text empty: not said.

    Raises:
        InvalidArgumentError: a name that is no fact, a time out of range, a text that is too long or has characters
            that nobody sees.
    """
    for name, value in facts.items():
        if name in _TIMES:
            _check_time(name, value)
        elif name in _TEXTS:
            _check_text(name, value)
        else:
            raise InvalidArgumentError(
                f"product: expected {', '.join(FACTS)}, got {name!r:.40}", remedy="Name one of these facts."
            )
    return dict(facts)


def check_period(product: Product) -> None:
    """Raise InvalidArgumentError for a product whose support ends before it is sold."""
    if None in (product.support_ends, product.placed_on_market):
        return
    if product.support_ends <= product.placed_on_market:  # type: ignore[operator]  # neither is None
        raise InvalidArgumentError(
            f"support_ends: expected a time after placed_on_market ({product.placed_on_market}), got "
            f"{product.support_ends} (Unix seconds)",
            remedy="Correct one of the two.",
        )


def _check_time(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_TIME:
        raise InvalidArgumentError(
            f"{name}: expected Unix seconds from 1 to {MAX_TIME}, got {value!r:.40}", remedy="Give a date of this age."
        )


def _check_text(name: str, value: object) -> None:
    limit = _TEXTS[name]
    if not isinstance(value, str) or len(value) > limit:
        got = len(value) if isinstance(value, str) else type(value).__name__
        raise InvalidArgumentError(f"{name}: expected at most {limit} characters, got {got}", remedy="Shorten it.")
    check_given_text(value, name)
