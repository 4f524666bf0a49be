# SPDX-License-Identifier: Apache-2.0
"""How long an engine waits for this host, and the error that says that it got no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.errors import SandboxUnavailableError


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits in seconds: from the start of a sandbox to the application's exec, and for a whole self-test."""

    start_s: float
    test_s: float


# A loaded two-core machine starts an application in under one second, and answers all probes in some.
USUAL: Final = Patience(start_s=20.0, test_s=60.0)
# An emulated machine that got 7 % of a processor took longer than that; five minutes are enough for 2 %.
LONG: Final = Patience(start_s=120.0, test_s=300.0)


class NoAnswerError(SandboxUnavailableError):
    """This host was too slow to say whether a sandbox holds: it neither allowed nor refused it."""
