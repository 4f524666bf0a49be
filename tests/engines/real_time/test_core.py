# SPDX-License-Identifier: Apache-2.0
"""The emulated core runs firmware of Debian's compiler: output, timer, faults with their registers."""

from __future__ import annotations

import errno
from uuid import UUID

import pytest
from tests.fixtures.core_firmware import firmware, sample

from armillary.engines.real_time.within import memory_map
from armillary.engines.real_time.within.core import Core
from armillary.engines.real_time.within.mailbox import QUEUE_LIMIT, Letter
from armillary.wire.image.elf_symbols import read_elf
from armillary.wire.image.firmware import read_firmware

PARTNER = UUID("5d0a1c36-6f3e-4f39-9b1e-7a2f0c1d4e02")
SLICES = 4000


class Played:
    """A core whose time passes by a millisecond with each slice."""

    def __init__(self, elf: bytes) -> None:
        self.now = 0.0
        self.said = bytearray()
        self.core = Core(read_firmware(elf, memory_map.MEMORIES), output=self.said.extend, monotonic=lambda: self.now)

    def run(self, *, until: bytes = b"\0") -> Played:
        """Run until the core says this, stops or has had its slices."""
        for _ in range(SLICES):
            self.now += 0.001
            self.core.run()
            if until in self.said or self.core.fault is not None or self.core.system.wants_reset:
                break
        return self


def played(body: str) -> Played:
    return Played(firmware(f"void core_main(void) {{ {body} }}")).run(until=b"end\n")


def test_the_sample_prints_ticks_and_answers_in_capitals() -> None:
    one = Played(sample()).run(until=b"ticks\n")
    assert one.said == b"pulse: started\npulse: the timer ticks\n"
    assert one.core.fault is None
    assert one.core.mailbox.deliver(Letter(PARTNER, b"ping 7"))
    for _ in range(20):
        one.core.run()
    assert list(one.core.mailbox.outgoing) == [Letter(PARTNER, b"PING 7")]


FAULTS = [
    ("CORE_REGISTER(0x50001000) = 1;", "BusFault", "write to an address where nothing is 0x50001000"),
    ("(void)CORE_REGISTER(0x40000000);", "BusFault", "read of an address where nothing is 0x40000000"),
    ("CORE_REGISTER(0x10000000) = 1;", "BusFault", "write to read-only memory 0x10000000"),  # flash
    ("CORE_REGISTER(0xE000E100) = 1;", "BusFault", "write to a register that is not there 0xe000e100"),
    ("(void)CORE_REGISTER(0x21040018);", "BusFault", "read of a register that is not there 0x21040018"),
    ("*(volatile uint8_t *)0x50000019 = 1;", "BusFault", "write to a register that is not there 0x50000019"),
    ("((void (*)(void))0x21040001)();", "BusFault", "jump to memory that is not executed 0x21040000"),
    ("((void (*)(void))0x40000001)();", "BusFault", "jump to memory that is not executed"),
    ('__asm__ volatile("udf #0");', "UsageFault", "instruction"),
    ('__asm__ volatile("svc #0");', "UsageFault", "SVC"),
    ('__asm__ volatile("bkpt #0");', "Breakpoint", "BKPT"),
    ('__asm__ volatile("bx %0" ::"r"(0xFFFFFFF9));', "HardFault", "return from an exception that was not entered"),
    ("core_start_tick(1000); for (;;) {}", "BusFault", "jump"),
    (
        '__asm__ volatile("msr control, %0\\n isb" ::"r"(2)); core_start_tick(1000); for (;;) {}',
        "HardFault",
        "process stack",
    ),
]


@pytest.mark.parametrize(("body", "kind", "reason"), FAULTS)
def test_everything_else_is_a_fault(body: str, kind: str, reason: str) -> None:
    one = played(f'core_print("begin"); {body} core_print("end");')
    assert one.said == b"begin\n"
    assert one.core.fault is not None
    assert one.core.fault.kind == kind
    assert reason in one.core.fault.reason
    before = one.core.fault
    one.core.run()
    assert one.core.fault is before, "a core that has stopped does not go on"
    assert one.said == b"begin\n"


def test_a_fault_says_where_it_was() -> None:
    elf = firmware(
        "__attribute__((noinline)) void valve(void) { CORE_REGISTER(0x60000000) = 1; }\n"
        "__attribute__((noinline)) void pump(void) { valve(); core_put('x'); }\n"
        "void core_main(void) { pump(); core_put('y'); }"
    )
    one = Played(elf).run()
    assert one.core.fault is not None
    names = read_elf(elf)
    assert names.name_at(one.core.fault.pc) == "valve"
    assert names.name_at(one.core.fault.lr & ~1) == "pump"
    assert memory_map.TCM.begin < one.core.fault.sp < memory_map.TCM.end
    assert (one.core.fault.address, bytes(one.said)) == (0x6000_0000, b"")


def test_a_stack_that_grows_out_of_its_memory_is_a_fault() -> None:
    one = Played(
        firmware(
            "static int deep(int n) { volatile char room[256]; room[n & 255] = (char)n;"
            " return n < 0 ? 0 : deep(n + 1) + room[0]; }\n"
            "void core_main(void) { core_put((char)deep(1)); }"
        )
    ).run()
    assert one.core.fault is not None
    assert one.core.fault.address is not None
    assert one.core.fault.address < memory_map.TCM.begin


def test_data_and_zeroed_memory_are_as_c_expects() -> None:
    one = Played(
        firmware(
            "static volatile int kept = 41; static volatile int zero;\n"
            'void core_main(void) { kept++; core_print(kept == 42 && zero == 0 ? "end" : "wrong"); }'
        )
    ).run(until=b"end\n")
    assert one.said == b"end\n"


def test_masked_ticks_wait_and_registers_survive_a_tick() -> None:
    one = Played(
        firmware(
            "static volatile uint32_t ticks; void core_tick(void) { ticks++; }\n"
            "void core_main(void) {\n"
            '  __asm__ volatile("cpsid i"); core_start_tick(1000);\n'
            "  for (volatile int i = 0; i < 100000; i++) {}\n"
            '  core_print(ticks ? "not masked" : "masked");\n'
            "  uint32_t sum = 0, other = 1;\n"
            '  __asm__ volatile("cpsie i");\n'
            "  for (uint32_t i = 0; ticks < 50; i++) { sum += i; other = other * 3u + i; }\n"
            "  uint32_t a = 1, b = 0; for (uint32_t i = 0; i < 300000; i++) { a = a * 3u + 1u; b ^= a; }\n"
            "  uint32_t c = 1, d = 0;\n"
            '  __asm__ volatile("cpsid i");\n'
            "  for (uint32_t i = 0; i < 300000; i++) { c = c * 3u + 1u; d ^= c; }\n"
            '  core_print(a == c && b == d ? "same" : "differ"); core_print("end"); (void)sum; (void)other; }'
        )
    ).run(until=b"end\n")
    assert one.said == b"masked\nsame\nend\n"


def test_a_core_that_waits_says_so_and_one_that_works_does_not() -> None:
    waiting = Played(firmware("void core_main(void) { for (;;) core_wait(); }")).run()
    assert waiting.core.waits
    polling = Played(firmware("void core_main(void) { while (!CORE_RX_SIZE) {} }")).run()
    assert polling.core.waits
    working = Played(firmware("void core_main(void) { for (volatile int i = 0;; i++) {} }"))
    working.core.run()
    assert not working.core.waits


def test_a_reset_is_asked_for() -> None:
    one = played('CORE_REGISTER(0xE000ED0C) = 0x05FA0004; core_print("end");')
    assert one.core.system.wants_reset
    assert one.said == b""


SENDS = """
static uint8_t content[2048];
static uint8_t partner[16] = {0x5d, 0x0a, 0x1c, 0x36, 0x6f, 0x3e, 0x4f, 0x39, 0x9b, 0x1e, 0x7a, 0x2f, 0x0c, 0x1d, 0x4e, 0x02};
static void number(uint32_t n) { if (n > 9) number(n / 10); core_put((char)('0' + n % 10)); }
static void say(uint32_t n) { number(n); core_put('\\n'); }
void core_main(void) {
  say(core_send(partner, content, 1024));
  say(core_send(partner, content, 1025));
  say(core_send(partner, content, 2000));
  CORE_TX_SEND = 20; say(CORE_TX_RESULT);
  CORE_TX_DATA = 1; CORE_TX_SEND = 0xFFFFFFFF; say(CORE_TX_RESULT);
  say(core_send(partner, content, 0));
  for (int i = 0; i < 20; i++) core_send(partner, content, 1);
  say(CORE_TX_RESULT); say(CORE_TX_ROOM);
  say(CORE_RX_SIZE); say(CORE_RX_DATA); CORE_RX_DONE = 1;
  core_print("end");
}
"""


def test_what_is_too_much_too_long_or_garbage_is_refused_with_a_number() -> None:
    one = Played(firmware(SENDS)).run(until=b"end\n")
    too_long, garbage, full = errno.EMSGSIZE, errno.EINVAL, errno.EAGAIN
    numbers = [0, too_long, too_long, garbage, too_long, garbage, full, 0, 0, 0]
    assert one.said.decode().split() == [*map(str, numbers), "end"]
    assert [len(each.content) for each in one.core.mailbox.outgoing] == [1024, *[1] * (QUEUE_LIMIT - 1)]
    assert {each.partner for each in one.core.mailbox.outgoing} == {PARTNER}


def test_messages_arrive_whole_in_order_and_their_rest_can_be_dropped() -> None:
    one = Played(
        firmware(
            "void core_main(void) { uint8_t from[16], got[4];\n"
            "  while (!CORE_RX_SIZE) {} (void)CORE_RX_DATA; CORE_RX_DONE = 1;\n"
            "  for (;;) { size_t n = core_receive(from, got, sizeof got);\n"
            "    for (size_t i = 0; i < n; i++) core_put((char)got[i]);\n"
            "    if (n) { core_put((char)('0' + from[15])); core_put('\\n'); } } }"
        )
    )
    for content in (b"dropped", b"one", b"four", b"fifty"):
        assert one.core.mailbox.deliver(Letter(PARTNER, content))
    one.run(until=b"fift2\n")
    assert one.said == b"one2\nfour2\nfift2\n"
    for _ in range(QUEUE_LIMIT):
        assert one.core.mailbox.deliver(Letter(PARTNER, b"x"))
    assert not one.core.mailbox.deliver(Letter(PARTNER, b"x"))
