# SPDX-License-Identifier: Apache-2.0
"""Facts, and what is said of a requirement by them: present, absent, stale or out of scope, and no other word.

========================================================  ==============
of the facts that a requirement names                     its state
========================================================  ==============
it names none, or a reason why software shows nothing     out-of-scope
all are out of scope                                      out-of-scope
one is absent, or nobody has it                           absent
one is stale                                              stale
none of this                                              present
========================================================  ==============

No state says that a requirement is met: a person judges that by the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.regulation.standard import Requirement

PRESENT: Final = "present"
ABSENT: Final = "absent"
STALE: Final = "stale"
OUT_OF_SCOPE: Final = "out-of-scope"
STATES: Final = (PRESENT, ABSENT, STALE, OUT_OF_SCOPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that the service holds, or (``absent``) does not.

    Attributes:
        name: By which requirements name it.
        says: In words; of what is absent or stale, what is missing and what to do.
        value: The same as JSON; None where there is nothing.
        sources: What it rests on: ``audit 12``, ``feed osv-pypi edition 3``, ``declared by the operator``.
    """

    name: str
    state: str
    says: str
    value: Any = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is said of a requirement, and by which facts."""

    requirement: Requirement
    state: str
    says: str
    facts: tuple[Fact, ...]

    @property
    def is_gap(self) -> bool:
        """Whether something is missing."""
        return self.state in (ABSENT, STALE)


def present(name: str, says: str, value: Any = None, *sources: str) -> Fact:
    """A fact that is there."""
    return Fact(name=name, state=PRESENT, says=says, value=value, sources=sources)


def absent(name: str, says: str, value: Any = None, *sources: str) -> Fact:
    """A named gap: what is missing, and what to do."""
    return Fact(name=name, state=ABSENT, says=says, value=value, sources=sources)


def stale(name: str, says: str, value: Any = None, *sources: str) -> Fact:
    """A fact that was there, and says nothing about now."""
    return Fact(name=name, state=STALE, says=says, value=value, sources=sources)


def out_of_scope(name: str, says: str) -> Fact:
    """Nothing that this service could show."""
    return Fact(name=name, state=OUT_OF_SCOPE, says=says)


def state_of(states: Sequence[str]) -> str:
    """The state of a requirement by those of its facts."""
    counted = [each for each in states if each != OUT_OF_SCOPE]
    if not counted:
        return OUT_OF_SCOPE
    return next((each for each in (ABSENT, STALE) if each in counted), PRESENT)


def statement(requirement: Requirement, facts: Mapping[str, Fact]) -> Statement:
    """What is said of a requirement."""
    if requirement.out_of_scope:
        return Statement(requirement=requirement, state=OUT_OF_SCOPE, says=requirement.out_of_scope, facts=())
    known = tuple(facts.get(name) or absent(name, f"Nobody holds the fact {name}.") for name in requirement.facts)
    return Statement(
        requirement=requirement,
        state=state_of([each.state for each in known]),
        says=" ".join(dict.fromkeys(_sentence(each.says) for each in known)),
        facts=known,
    )


def _sentence(text: str) -> str:
    """Text of a fact with a full stop, so that it can stand before another."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
