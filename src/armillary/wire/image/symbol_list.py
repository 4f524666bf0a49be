# SPDX-License-Identifier: Apache-2.0
"""The functions of one build of a module as text: what is uploaded to name the places of crashes.

::

    build-id 8f3c... machine arm64
    1139 2f main
    1168 5a Controller::step(int)

The head names the build and its machine; then come address and size in hexadecimal and the name, by rising address. Any
tool can make it (``nm -S --defined-only``), so that the service reads no ELF file of anybody.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError

MAX_FUNCTIONS: Final = 400_000  # a browser has about so many
MAX_NAME_BYTES: Final = 256
MAX_LIST_BYTES: Final = 32 * 1024 * 1024
_HEAD: Final = re.compile(r"build-id ([0-9a-f]{2,128}) machine ([a-z0-9_ ]{1,20})")
_LINE: Final = re.compile(r"([0-9a-f]{1,16}) ([0-9a-f]{1,16}) (\S.{0,255})")
_REMEDY: Final = "Make it with: armillary crash symbols add --file PROGRAM."


@dataclass(frozen=True, slots=True)
class Function:
    """A function: ``size`` is 0 where the table does not say."""

    address: int
    size: int
    name: str


@dataclass(frozen=True, slots=True)
class SymbolList:
    """Functions by rising address, each address once."""

    build_id: bytes
    machine: str
    functions: tuple[Function, ...]

    def name_at(self, address: int) -> str:
        """The function that has the address, or "" where none has."""
        index = bisect_right(self.functions, address, key=lambda one: one.address) - 1
        if index < 0:
            return ""
        found = self.functions[index]
        return found.name if not found.size or address < found.address + found.size else ""


def encode(symbols: SymbolList) -> bytes:
    """The list as text, UTF-8."""
    head = f"build-id {symbols.build_id.hex()} machine {symbols.machine}\n"
    return (head + "".join(f"{one.address:x} {one.size:x} {one.name}\n" for one in symbols.functions)).encode()


def parse(data: bytes) -> SymbolList:
    """A list as it was uploaded; raises WireError that names the line."""
    if len(data) > MAX_LIST_BYTES:
        raise _fault(f"at most {MAX_LIST_BYTES} bytes", f"{len(data)} bytes")
    try:
        head, *lines = data.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise _fault("UTF-8", f"byte {error.start} that is none") from error
    named = _HEAD.fullmatch(head)
    if named is None or len(named[1]) % 2:
        raise _fault("line 1: build-id HEX machine NAME", f"{head[:60]!r}")
    if not 1 <= len(lines) <= MAX_FUNCTIONS:
        raise _fault(f"1 to {MAX_FUNCTIONS} functions", f"{len(lines)}")
    functions, last = [], -1
    for number, line in enumerate(lines, 2):
        parts = _LINE.fullmatch(line)
        if parts is None or not line.isprintable() or len(parts[3].encode()) > MAX_NAME_BYTES:
            raise _fault(f"line {number}: ADDRESS SIZE NAME", f"{line[:60]!r}")
        address = int(parts[1], 16)
        if address <= last:
            raise _fault(f"line {number}: an address above {last:x}", f"{address:x}")
        last = address
        functions.append(Function(address, int(parts[2], 16), parts[3]))
    return SymbolList(bytes.fromhex(named[1]), named[2], tuple(functions))


def _fault(expected: str, got: str) -> WireError:
    return WireError("symbol list", expected=expected, got=got, remedy=_REMEDY)
