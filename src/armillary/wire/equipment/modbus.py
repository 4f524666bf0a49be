# SPDX-License-Identifier: Apache-2.0
"""Modbus requests and replies (PDUs), of the client and of the server. How they are framed: ``modbus_framing``.

Source: Modbus Application Protocol 1.1b3 §4 (PDU, addresses from 0, big-endian), §6 (functions), §7 (exceptions)::

    1     function code; in an exception reply with bit 7 set   §4.1
    0-252 data

The client side makes requests and checks that a reply is one to its request; the server side answers a request from a
:class:`Bank`. Functions that hide a write in a read (22, 23) are spoken by neither.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, Protocol

from armillary.errors import WireError
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import Table

# §4.1: a serial frame has at most 256 bytes, of which unit and CRC take 3.
MAX_PDU_BYTES: Final = 253
# §6.1, §6.3, §6.11, §6.12: what fits into one PDU.
MAX_READ_BITS: Final = 2000
MAX_READ_REGISTERS: Final = 125
MAX_WRITTEN_BITS: Final = 1968
MAX_WRITTEN_REGISTERS: Final = 123
ADDRESSES: Final = 65536
EXCEPTION_BIT: Final = 0x80
_COIL_ON: Final = 0xFF00
_IDENTIFICATION_MEI: Final = 14
# §6.21: MEI type, read code, conformity, more follows, next object, number of objects.
_IDENTIFICATION_HEAD: Final = struct.Struct(">BBBBBBB")
_SPAN: Final = struct.Struct(">BHH")


class Function(IntEnum):
    """The functions that are spoken here, §6."""

    READ_COILS = 1
    READ_DISCRETE_INPUTS = 2
    READ_HOLDING_REGISTERS = 3
    READ_INPUT_REGISTERS = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    WRITE_COILS = 15
    WRITE_REGISTERS = 16
    READ_IDENTIFICATION = 43  # With MEI type 14


class ExceptionCode(IntEnum):
    """Why a server does not do what was asked, §7."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    SERVER_FAILURE = 4
    ACKNOWLEDGE = 5  # It takes long; ask again
    SERVER_BUSY = 6
    MEMORY_PARITY = 8
    GATEWAY_PATH = 10
    GATEWAY_TARGET = 11  # The gateway had no answer from the unit


class ObjectId(IntEnum):
    """Objects of the device identification, §6.21."""

    VENDOR_NAME = 0
    PRODUCT_CODE = 1
    REVISION = 2
    VENDOR_URL = 3
    PRODUCT_NAME = 4
    MODEL_NAME = 5
    APPLICATION_NAME = 6


READ_FUNCTIONS: Final[Mapping[Table, Function]] = {
    Table.COIL: Function.READ_COILS,
    Table.DISCRETE: Function.READ_DISCRETE_INPUTS,
    Table.HOLDING: Function.READ_HOLDING_REGISTERS,
    Table.INPUT: Function.READ_INPUT_REGISTERS,
}
_TABLES: Final = {int(function): table for table, function in READ_FUNCTIONS.items()}
_BIT_READS: Final = frozenset(map(int, (Function.READ_COILS, Function.READ_DISCRETE_INPUTS)))
_REGISTER_READS: Final = frozenset(map(int, (Function.READ_HOLDING_REGISTERS, Function.READ_INPUT_REGISTERS)))
_SINGLE_WRITES: Final = frozenset(map(int, (Function.WRITE_COIL, Function.WRITE_REGISTER)))
WRITES: Final = _SINGLE_WRITES | frozenset(map(int, (Function.WRITE_COILS, Function.WRITE_REGISTERS)))


# Client side


def read_request(table: Table, address: int, count: int) -> bytes:
    """Ask for ``count`` bits or registers from ``address`` on.

    Raises:
        WireError: the span leaves the table, or is more than one reply can carry.
    """
    bits = table in (Table.COIL, Table.DISCRETE)
    _check_span(address, count, MAX_READ_BITS if bits else MAX_READ_REGISTERS)
    return _SPAN.pack(READ_FUNCTIONS[table], address, count)


def write_coil_request(address: int, on: bool) -> bytes:  # noqa: FBT001 - the value that is written
    """Set one coil. Raises WireError as :func:`read_request`."""
    _check_span(address, 1, 1)
    return _SPAN.pack(Function.WRITE_COIL, address, _COIL_ON if on else 0)


def write_register_request(address: int, word: int) -> bytes:
    """Set one holding register to 0 to 65535. Raises WireError as :func:`read_request`."""
    _check_span(address, 1, 1)
    if not 0 <= word < ADDRESSES:
        raise WireError("modbus", expected="a word of 16 bits", got=str(word))
    return _SPAN.pack(Function.WRITE_REGISTER, address, word)


def write_coils_request(address: int, states: Sequence[bool]) -> bytes:
    """Set coils side by side. Raises WireError as :func:`read_request`."""
    _check_span(address, len(states), MAX_WRITTEN_BITS)
    packed = pack_bits(states)
    return _SPAN.pack(Function.WRITE_COILS, address, len(states)) + bytes([len(packed)]) + packed


def write_registers_request(address: int, words: bytes) -> bytes:
    """Set holding registers side by side; ``words`` as on the wire, two bytes each. Raises WireError likewise."""
    if len(words) % 2:
        raise WireError("modbus", expected="two bytes for each register", got=f"{len(words)} bytes")
    _check_span(address, len(words) // 2, MAX_WRITTEN_REGISTERS)
    return _SPAN.pack(Function.WRITE_REGISTERS, address, len(words) // 2) + bytes([len(words)]) + words


def identification_request(read_code: int = 1, object_id: int = 0) -> bytes:
    """Ask for the device identification: ``read_code`` 1 basic, 2 regular, 3 extended, 4 one object. §6.21."""
    return bytes([Function.READ_IDENTIFICATION, _IDENTIFICATION_MEI, read_code, object_id])


def _check_span(address: int, count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise WireError("modbus", expected=f"1 to {limit} values in one request", got=str(count))
    if not 0 <= address <= ADDRESSES - count:
        raise WireError("modbus", expected=f"addresses within 0 to {ADDRESSES - 1}", got=f"{address} + {count}")


def reply_length(request: bytes) -> int:
    """How many bytes the PDU of a good reply has; 0 where only the reply itself says it."""
    function = request[0]
    if function in _REGISTER_READS:
        return 2 + 2 * (request[3] << 8 | request[4])
    if function in _BIT_READS:
        return 2 + ((request[3] << 8 | request[4]) + 7) // 8
    return _SPAN.size if function in WRITES else 0


def check_reply(request: bytes, reply: bytes) -> bytes:
    """Return the reply when it is one to this request.

    Raises:
        LinkError: ``refused``: an exception of the equipment, whose code is in ``refusal``; ``foreign``: it is a reply
            to something else; ``damaged``: its lengths lie.
    """
    function, length = request[0], reply_length(request)
    if not reply or reply[0] != function:
        raise _no_reply(function, reply)
    if not length:
        read_identification(reply)
        return reply
    if len(reply) != length or (function not in WRITES and reply[1] != length - 2):
        raise LinkError("damaged", f"function {function}: {length} bytes expected, {len(reply)} came or were announced")
    if function in WRITES and reply[1:] != request[1:5]:
        raise LinkError("foreign", f"the reply to function {function} confirms another place or value")
    return reply


def _no_reply(function: int, reply: bytes) -> LinkError:
    if not reply:
        return LinkError("damaged", "a reply without a function code")
    if reply[0] != function | EXCEPTION_BIT:
        return LinkError("foreign", f"a reply to function {reply[0] & ~EXCEPTION_BIT} instead of {function}")
    if len(reply) != 2:
        return LinkError("damaged", f"an exception of {len(reply)} bytes instead of 2")
    return LinkError("refused", f"function {function}: {exception_name(reply[1])}", refusal=reply[1])


def exception_name(code: int) -> str:
    """``illegal address (exception 2)``."""
    known = {int(each): each.name.lower().replace("_", " ") for each in ExceptionCode}
    return f"{known.get(code, 'unknown')} (exception {code})"


def register_bytes(reply: bytes) -> bytes:
    """The registers of a checked reply, two bytes each, as ``struct`` reads them with ``>``."""
    return reply[2:]


def unpack_bits(packed: bytes, count: int) -> tuple[bool, ...]:
    """The first ``count`` bits; the lowest bit of the first byte comes first. §6.1."""
    return tuple(bool(packed[index >> 3] >> (index & 7) & 1) for index in range(count))


def pack_bits(states: Sequence[bool]) -> bytes:
    """The inverse of :func:`unpack_bits`; unused bits are 0."""
    packed = bytearray((len(states) + 7) // 8)
    for index, state in enumerate(states):
        packed[index >> 3] |= bool(state) << (index & 7)
    return bytes(packed)


def read_identification(reply: bytes) -> tuple[dict[int, bytes], int | None]:
    """The objects of a device identification, and the object to ask for next (None: that was all).

    Raises:
        LinkError: ``damaged``.
    """
    if len(reply) < _IDENTIFICATION_HEAD.size:
        raise LinkError("damaged", f"a device identification of {len(reply)} bytes")
    function, mei, _, _, more, following, number = _IDENTIFICATION_HEAD.unpack_from(reply)
    if function != Function.READ_IDENTIFICATION or mei != _IDENTIFICATION_MEI or more not in (0, 0xFF):
        raise LinkError("damaged", "what should be a device identification is none")
    objects: dict[int, bytes] = {}
    place = _IDENTIFICATION_HEAD.size
    for _ in range(number):
        length = reply[place + 1] if place + 1 < len(reply) else ADDRESSES
        if place + 2 + length > len(reply):
            raise LinkError("damaged", "a device identification ends within an object")
        objects[reply[place]] = reply[place + 2 : place + 2 + length]
        place += 2 + length
    if place != len(reply):
        raise LinkError("damaged", f"a device identification with {len(reply) - place} bytes too many")
    return objects, following if more else None


# Server side


class ServerRefusalError(Exception):
    """A bank does not do what was asked: it becomes an exception reply. ``code`` is an :class:`ExceptionCode`."""

    def __init__(self, code: int) -> None:
        super().__init__(exception_name(code))
        self.code = code


class Bank(Protocol):
    """The tables of a server. Spans are within 0 to 65535; what a bank does not have, it refuses.

    Each method raises :class:`ServerRefusalError`.
    """

    def read_bits(self, table: Table, address: int, count: int) -> Sequence[bool]:
        """Coils or discrete inputs."""
        ...

    def read_registers(self, table: Table, address: int, count: int) -> bytes:
        """Holding or input registers, two bytes each, big-endian."""
        ...

    def write_coils(self, address: int, states: Sequence[bool]) -> None:
        """Set coils, all or none."""
        ...

    def write_registers(self, address: int, words: bytes) -> None:
        """Set holding registers, all or none; two bytes each, big-endian."""
        ...

    def identification(self) -> Mapping[int, bytes]:
        """Objects of the device identification by :class:`ObjectId`; empty: the function is refused."""
        ...


def answer(request: bytes, bank: Bank) -> bytes:
    """The reply of a server to a request, in the order of checks of §6: function, count, addresses, the bank's own."""
    function = request[0]
    try:
        if function in _TABLES:
            return _answer_read(request, bank)
        if function in _SINGLE_WRITES:
            return _answer_single_write(request, bank)
        if function in WRITES:
            return _answer_write(request, bank)
        return _answer_identification(request, bank)
    except ServerRefusalError as refusal:
        return exception_reply(function, refusal.code)


def exception_reply(function: int, code: int) -> bytes:
    """The reply that refuses a function, §7."""
    return bytes([function | EXCEPTION_BIT, code])


def _answer_read(request: bytes, bank: Bank) -> bytes:
    if len(request) != _SPAN.size:
        raise ServerRefusalError(ExceptionCode.ILLEGAL_VALUE)
    function, address, count = _SPAN.unpack(request)
    table = _TABLES[function]
    if table in (Table.COIL, Table.DISCRETE):
        _serve_span(address, count, MAX_READ_BITS)
        values = pack_bits(bank.read_bits(table, address, count))
    else:
        _serve_span(address, count, MAX_READ_REGISTERS)
        values = bank.read_registers(table, address, count)
    return bytes([function, len(values)]) + values


def _answer_single_write(request: bytes, bank: Bank) -> bytes:
    if len(request) != _SPAN.size:
        raise ServerRefusalError(ExceptionCode.ILLEGAL_VALUE)
    function, address, value = _SPAN.unpack(request)
    if function == Function.WRITE_REGISTER:
        bank.write_registers(address, request[3:])
    elif value in (0, _COIL_ON):
        bank.write_coils(address, [value == _COIL_ON])
    else:
        raise ServerRefusalError(ExceptionCode.ILLEGAL_VALUE)
    return request


def _answer_write(request: bytes, bank: Bank) -> bytes:
    if len(request) < _SPAN.size + 1:
        raise ServerRefusalError(ExceptionCode.ILLEGAL_VALUE)
    function, address, count = _SPAN.unpack_from(request)
    values = request[_SPAN.size + 1 :]
    coils = function == Function.WRITE_COILS
    expected = (count + 7) // 8 if coils else 2 * count
    _serve_span(address, count, MAX_WRITTEN_BITS if coils else MAX_WRITTEN_REGISTERS)
    if not request[_SPAN.size] == len(values) == expected:
        raise ServerRefusalError(ExceptionCode.ILLEGAL_VALUE)
    if coils:
        bank.write_coils(address, unpack_bits(values, count))
    else:
        bank.write_registers(address, values)
    return request[: _SPAN.size]


def _serve_span(address: int, count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise ServerRefusalError(ExceptionCode.ILLEGAL_VALUE)
    if address + count > ADDRESSES:
        raise ServerRefusalError(ExceptionCode.ILLEGAL_ADDRESS)


# Read code -> the objects that it is about, §6.21.
_STREAMS: Final[Mapping[int, range]] = {1: range(3), 2: range(0x80), 3: range(0x100)}


def _answer_identification(request: bytes, bank: Bank) -> bytes:
    objects = bank.identification()
    if not objects or request[:2] != bytes([Function.READ_IDENTIFICATION, _IDENTIFICATION_MEI]):
        raise ServerRefusalError(ExceptionCode.ILLEGAL_FUNCTION)
    if len(request) != 4 or request[2] not in (1, 2, 3, 4):
        raise ServerRefusalError(ExceptionCode.ILLEGAL_VALUE)
    read_code, first = request[2], request[3]
    if read_code == 4:
        if first not in objects:
            raise ServerRefusalError(ExceptionCode.ILLEGAL_ADDRESS)
        wanted = [first]
    else:
        stream = sorted(objects.keys() & set(_STREAMS[read_code]))
        wanted = [each for each in stream if each >= first] if first in stream else stream
    body, sent = b"", 0
    for each in wanted:
        item = bytes([each, len(objects[each])]) + objects[each]
        if _IDENTIFICATION_HEAD.size + len(body) + len(item) > MAX_PDU_BYTES:
            break
        body, sent = body + item, sent + 1
    more, following = (0xFF, wanted[sent]) if sent < len(wanted) else (0, 0)
    conformity = 0x80 | (1 if max(objects) < 3 else 2 if max(objects) < 0x80 else 3)  # 0x80: also one by one
    head = (Function.READ_IDENTIFICATION, _IDENTIFICATION_MEI, read_code, conformity, more, following, sent)
    return _IDENTIFICATION_HEAD.pack(*head) + body
