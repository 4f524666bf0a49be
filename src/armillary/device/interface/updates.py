# SPDX-License-Identifier: Apache-2.0
"""Method of updates: an application puts off what would interrupt it.

The other way to say so, a line on standard output, does the same (``update/schedule/deferral.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.device.interface.method import Call, Method
from armillary.update.schedule.deferral import CAPABILITY, MAX_MINUTES


class Updates:
    """Takes deferrals."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """The row."""
        return (Method("update.defer", CAPABILITY, self._defer),)

    async def _defer(self, call: Call) -> Mapping[str, Any]:
        """Begin no update for so many minutes from now; 0 takes it back. The service may allow less."""
        minutes = call.parameters.integer("minutes", 0, MAX_MINUTES)
        call.parameters.finish()
        call.session.run.defer(minutes)
        return {"minutes": minutes}
