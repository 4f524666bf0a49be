# SPDX-License-Identifier: Apache-2.0
"""A piece of equipment as it is served now: by this profile, over this link."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.guard.compiling import CompiledProfile
from armillary.guardian.exchange import Exchange
from armillary.guardian.polling import Poller


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What commands, recipes and reports need of it."""

    compiled: CompiledProfile
    exchange: Exchange
    poller: Poller
