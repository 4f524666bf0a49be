# SPDX-License-Identifier: Apache-2.0
"""How a real-time core stopped by itself: what its emulator says as the last line of its standard error.

::

    line = "armillary-core: " {"kind": text, "reason": text, "address": uint / null, "pc": uint, "lr": uint, "sp": uint}

``kind`` is a key of :data:`KINDS`. The core's own output is standard output, so firmware cannot write such a line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from armillary.errors import WireError

PREFIX: Final = "armillary-core: "
MAX_REASON_CHARACTERS: Final = 200
_UINT32: Final = 2**32 - 1
# Kind of fault -> number of the signal that a program of a host ends by for the same reason.
KINDS: Final[Mapping[str, int]] = {
    "BusFault": 11,  # no memory or register there, or not for this access
    "UsageFault": 4,  # an instruction that this core does not have
    "Breakpoint": 5,
    "HardFault": 6,  # everything else: what the emulated core cannot go on from
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreFault:
    """A core that stopped, with the registers that say where."""

    kind: str  # key of :data:`KINDS`
    reason: str  # one phrase for people
    address: int | None  # that could not be used
    pc: int
    lr: int
    sp: int

    @property
    def signal(self) -> int:
        """The signal of a host's program for the same reason."""
        return KINDS[self.kind]

    def describe(self) -> str:
        """For a description: fields as Azure Sphere's forms have them."""
        return f"fault={self.kind}; reason={self.reason}; pc={self.pc:#010x}; lr={self.lr:#010x}; sp={self.sp:#010x}"


def encode_fault(fault: CoreFault) -> str:
    """The line, without its end."""
    return PREFIX + json.dumps(asdict(fault), separators=(",", ":"))


def parse_fault(line: str) -> CoreFault | None:
    """The fault of a line; None for another line.

    Raises:
        WireError: the line begins like one and is none.
    """
    if not line.startswith(PREFIX):
        return None
    try:
        found = json.loads(line.removeprefix(PREFIX))
    except ValueError as error:
        raise WireError("core fault", expected="a JSON object", got=f"{error!s:.80}") from error
    kind, reason = (found.get("kind"), found.get("reason")) if isinstance(found, dict) else (None, None)
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(reason, str):
        raise WireError("core fault", expected=f"a kind of {', '.join(KINDS)} and a reason", got=f"{found!r:.80}")
    address = found.get("address")
    return CoreFault(
        kind=kind,
        reason=reason[:MAX_REASON_CHARACTERS],
        address=None if address is None else _uint32(address, "address"),
        **{name: _uint32(found.get(name), name) for name in ("pc", "lr", "sp")},
    )


def _uint32(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= _UINT32:
        raise WireError(f"core fault {name}", expected="an integer of 32 bits", got=f"{value!r:.40}")
    return value
