# SPDX-License-Identifier: Apache-2.0
"""A running service that plays simulated devices, as ``armillary up`` assembles it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.api.running_service import RunningService, running_service

from armillary.sim.templates.applications import Applications

T = TypeVar("T")


@dataclass(frozen=True)
class Playing:
    """The service and what plays in it."""

    running: RunningService
    applications: Applications

    def in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.running.loop).result(30)


@contextlib.contextmanager
def playing(folder: Path) -> Iterator[Playing]:
    with running_service(folder, applications=True) as running:
        yield Playing(running, running.app.state.applications)
