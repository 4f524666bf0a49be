# SPDX-License-Identifier: Apache-2.0
"""Permits: requests that the guard has allowed. Links send nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from armillary.wire.equipment.request import Request

R_co = TypeVar("R_co", bound=Request, covariant=True)


@dataclass(frozen=True, slots=True)
class Permit(Generic[R_co]):
    """A request that may go to the equipment. Made by the guard alone (``tests/test_architecture.py`` holds this)."""

    request: R_co
    command: str | None = None  # The command that it carries out; None for a read of the poll plan
