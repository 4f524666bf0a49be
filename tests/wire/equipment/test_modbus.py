# SPDX-License-Identifier: Apache-2.0
"""Modbus PDUs: the specification's own examples, what a client takes for a reply, what a server answers."""

from __future__ import annotations

import pytest
from tests.wire.equipment.modbus_bank import MemoryBank

from armillary.errors import WireError
from armillary.wire.equipment import modbus
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import Table


def of(text: str) -> bytes:
    return bytes.fromhex(text)


# Modbus Application Protocol 1.1b3 §6.1 to §6.12: the examples of the specification.
EXAMPLES = [
    (modbus.read_request(Table.COIL, 0x13, 0x13), "01 0013 0013", "01 03 CD 6B 05"),
    (modbus.read_request(Table.DISCRETE, 0xC4, 0x16), "02 00C4 0016", "02 03 AC DB 35"),
    (modbus.read_request(Table.HOLDING, 0x6B, 3), "03 006B 0003", "03 06 022B 0000 0064"),
    (modbus.read_request(Table.INPUT, 8, 1), "04 0008 0001", "04 02 000A"),
    (modbus.write_coil_request(0xAC, on=True), "05 00AC FF00", "05 00AC FF00"),
    (modbus.write_register_request(1, 3), "06 0001 0003", "06 0001 0003"),
    (
        modbus.write_coils_request(0x13, modbus.unpack_bits(of("CD01"), 10)),
        "0F 0013 000A 02 CD 01",
        "0F 0013 000A",
    ),
    (modbus.write_registers_request(1, of("000A 0102")), "10 0001 0002 04 000A 0102", "10 0001 0002"),
]


@pytest.mark.parametrize(("request_pdu", "expected", "reply"), EXAMPLES)
def test_the_examples_of_the_specification(request_pdu: bytes, expected: str, reply: str):
    assert request_pdu == of(expected)
    assert modbus.check_reply(request_pdu, of(reply)) == of(reply)
    assert modbus.reply_length(request_pdu) == len(of(reply))


@pytest.mark.parametrize(("request_pdu", "expected", "reply"), EXAMPLES)
def test_a_reply_of_another_length_or_function_is_none(request_pdu: bytes, expected: str, reply: str):
    good = of(reply)
    for damaged in (b"", good[:-1], good + b"\0", bytes([good[0], good[1] ^ 1]) + good[2:]):
        with pytest.raises(LinkError) as caught:
            modbus.check_reply(request_pdu, damaged)
        assert caught.value.reason in ("damaged", "foreign")
    with pytest.raises(LinkError) as caught:
        modbus.check_reply(request_pdu, bytes([good[0] + 1]) + good[1:])
    assert caught.value.reason == "foreign"


def test_a_write_that_is_confirmed_for_another_place_is_foreign():
    with pytest.raises(LinkError, match="another place") as caught:
        modbus.check_reply(of("06 0001 0003"), of("06 0002 0003"))
    assert caught.value.reason == "foreign"


@pytest.mark.parametrize("code", [*range(12), 255])
def test_an_exception_of_every_code_is_a_refusal(code: int):
    with pytest.raises(LinkError) as caught:
        modbus.check_reply(of("03 0000 0001"), bytes([0x83, code]))
    assert (caught.value.reason, caught.value.refusal) == ("refused", code)
    assert f"exception {code}" in str(caught.value)


@pytest.mark.parametrize("reply", ["83", "83 02 00"])
def test_an_exception_of_a_wrong_length_is_damaged(reply: str):
    with pytest.raises(LinkError) as caught:
        modbus.check_reply(of("03 0000 0001"), of(reply))
    assert caught.value.reason == "damaged"


@pytest.mark.parametrize(
    "make",
    [
        lambda: modbus.read_request(Table.HOLDING, 0, 0),
        lambda: modbus.read_request(Table.HOLDING, 0, 126),
        lambda: modbus.read_request(Table.COIL, 0, 2001),
        lambda: modbus.read_request(Table.INPUT, 65535, 2),
        lambda: modbus.read_request(Table.INPUT, -1, 1),
        lambda: modbus.write_register_request(0, 65536),
        lambda: modbus.write_register_request(0, -1),
        lambda: modbus.write_registers_request(0, b"123"),
        lambda: modbus.write_registers_request(0, bytes(248)),
        lambda: modbus.write_coils_request(0, [True] * 1969),
        lambda: modbus.write_coil_request(65536, on=True),
    ],
)
def test_no_request_leaves_the_tables_or_a_frame(make):
    with pytest.raises(WireError):
        make()


def test_the_largest_requests_fit_a_frame():
    assert len(modbus.write_registers_request(0, bytes(246))) == 252
    assert len(modbus.write_coils_request(0, [True] * 1968)) == 252
    assert modbus.reply_length(modbus.read_request(Table.INPUT, 0, 125)) == 252
    assert modbus.reply_length(modbus.read_request(Table.COIL, 0, 2000)) == 252


class TestServer:
    bank: MemoryBank

    @pytest.fixture(autouse=True)
    def _bank(self) -> None:
        self.bank = MemoryBank()

    def ask(self, request: bytes | str) -> bytes:
        return modbus.answer(of(request) if isinstance(request, str) else request, self.bank)

    def test_reads(self):
        assert self.ask("03 0005 0002") == of("03 04 0005 0006")
        assert self.ask("04 0007 0001") == of("04 02 0007")
        assert self.ask("01 0000 0009") == of("01 02 49 00")
        assert self.ask("02 0003 0001") == of("02 01 01")

    def test_writes_are_read_back(self):
        assert self.ask("06 0005 1234") == of("06 0005 1234")
        assert self.ask("10 0006 0002 04 0001 0002") == of("10 0006 0002")
        assert self.ask("03 0005 0003") == of("03 06 1234 0001 0002")
        assert self.ask("05 0001 FF00") == of("05 0001 FF00")
        assert self.ask("0F 0002 0002 01 03") == of("0F 0002 0002")
        assert self.ask("01 0000 0004") == of("01 01 0F")
        assert self.ask("05 0001 0000") == of("05 0001 0000")
        assert self.ask("01 0001 0001") == of("01 01 00")

    @pytest.mark.parametrize("function", [0, 7, 8, 11, 12, 17, 20, 21, 22, 23, 24, 42, 100])
    def test_functions_that_are_not_spoken_are_refused(self, function: int):
        assert self.ask(bytes([function, 0, 0, 0, 1])) == bytes([function | 0x80, 1])

    @pytest.mark.parametrize(
        ("request_pdu", "code"),
        [
            ("03 0000 0000", 3),
            ("03 0000 007E", 3),
            ("01 0000 07D1", 3),
            ("03 0000", 3),
            ("03 0000 0001 00", 3),
            ("03 FFFF 0002", 2),
            ("03 012B 0002", 2),  # Beyond what the bank has
            ("05 0000 0001", 3),
            ("06 0000 00", 3),
            ("10 0000 0001 02 00", 3),
            ("10 0000 0001 03 000000", 3),
            ("10 0000 0002 02 0000", 3),
            ("10 0000 007C 02 0000", 3),
            ("0F 0000 0009 01 00", 3),
            ("0F 0000", 3),
            ("2B 0E 05 00", 3),
            ("2B 0E 01", 3),
            ("2B 0E 04 7F", 2),
            ("2B 0D 01 00", 1),
        ],
    )
    def test_what_is_wrong_in_a_request_is_named(self, request_pdu: str, code: int):
        before = (self.bank.bits, self.bank.words)
        assert self.ask(request_pdu) == bytes([of(request_pdu)[0] | 0x80, code])
        assert (self.bank.bits, self.bank.words) == before

    def test_identification_is_read_in_as_many_replies_as_it_needs(self):
        self.bank.objects = {0: b"Armillary", 1: b"SIMULATED", 2: b"1", 4: b"n" * 200, 0x80: b"p" * 200}
        found: dict[int, bytes] = {}
        following: int | None = 0
        asked = 0
        while following is not None:
            request = modbus.identification_request(3, following)
            objects, following = modbus.read_identification(modbus.check_reply(request, self.ask(request)))
            found |= objects
            asked += 1
        assert found == self.bank.objects
        assert asked == 2
        assert modbus.read_identification(self.ask(modbus.identification_request(4, 1))) == ({1: b"SIMULATED"}, None)
        assert modbus.read_identification(self.ask(modbus.identification_request(1)))[0].keys() == {0, 1, 2}

    def test_without_objects_there_is_no_identification(self):
        self.bank.objects = {}
        assert self.ask(modbus.identification_request()) == of("AB 01")


@pytest.mark.parametrize(
    "reply",
    [
        "2B",
        "2B 0E 01 81 00 00",
        "2B 0D 01 81 00 00 00",
        "2B 0E 01 81 01 00 00",
        "2B 0E 01 81 00 00 01",
        "2B 0E 01 81 00 00 01 00",
        "2B 0E 01 81 00 00 01 00 05 41",
        "2B 0E 01 81 00 00 01 00 01 41 42",
    ],
)
def test_an_identification_that_lies_about_its_lengths_is_damaged(reply: str):
    with pytest.raises(LinkError) as caught:
        modbus.check_reply(modbus.identification_request(), of(reply))
    assert caught.value.reason == "damaged"
