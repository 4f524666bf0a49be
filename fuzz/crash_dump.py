# SPDX-License-Identifier: Apache-2.0
"""Crash dumps: any bytes are a dump that is written back the same, or a WireError; a scrubbed one keeps its size."""

from __future__ import annotations

from uuid import UUID

from armillary.errors import WireError
from armillary.wire.device import crash_dump
from armillary.wire.device.crash_dump import CrashDump, MachineState, Module, Stack
from armillary.wire.device.crash_record import Frame

_STATE = MachineState(
    machine="aarch64",
    signal=11,
    code=1,
    fault="null",
    registers=(("pc", 0x1010), ("sp", 0x7000)),
    modules=(Module("app", b"\1\2", 0x1000, 0x1000, 0x1000),),
    frames=(Frame("app", b"\1\2", 0x10, ""),),
    stack=Stack(0x7000, scrubbed=False, content=b"secret!!" + (0x1020).to_bytes(8, "little")),
)


def seeds() -> list[bytes]:
    return [
        crash_dump.encode_dump(
            CrashDump(component_id=UUID(int=1), image_id=UUID(int=2), boot_count=1, at=1_790_000_000, state=_STATE)
        )
    ]


def fuzz(data: bytes) -> None:
    try:
        found = crash_dump.parse_dump(data)
    except WireError:
        return
    assert crash_dump.encode_dump(found) == data
    stack = found.state.stack
    if stack is not None:
        left = crash_dump.scrubbed(stack, found.state.modules)
        assert len(left.content) == len(stack.content)
