# SPDX-License-Identifier: Apache-2.0
"""What kinds of findings are called, and what they mean. Pure."""

from __future__ import annotations

from armillary.console.language.say import known, say
from armillary.wire.device.finding import KINDS


def kind_words(kind: str) -> str:
    """A kind as people read it: ``proof replayed``."""
    return known(kind.replace("-", " "))


def kind_meaning(kind: str, means: str = "") -> str:
    """What a kind means; of one that is not known here what the API says it ``means``."""
    told = KINDS.get(kind, means)
    return known(told) if told else say("A kind that is not known.")
