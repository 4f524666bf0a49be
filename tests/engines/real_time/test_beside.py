# SPDX-License-Identifier: Apache-2.0
"""Cores beside the device: the same firmware as in emulated ones, on the stand-in that boards in QEMU have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.real_time.test_emulated import launch, play
from tests.fixtures.core_firmware import firmware, sample
from tests.fixtures.core_images import elf, halting, vectors
from tests.fixtures.cores_beside import cores_beside

from armillary.capability.grant import PlatformLimits
from armillary.engines.real_time import selection
from armillary.engines.real_time.beside import CoresBeside
from armillary.engines.real_time.channels import core_channels
from armillary.engines.real_time.emulated import EmulatedCores
from armillary.engines.real_time.port import RealTimeCores
from armillary.engines.sandbox.port import ExitStatus
from armillary.engines.sandbox.process import ProcessSandbox
from armillary.errors import InstallError, SandboxUnavailableError

SAYS = "stderr: the core's loader: a stand-in for a chip's core: Cortex-M4 of QEMU's mps2-an386, not silicon"
TCM = 0x0010_0000


@pytest.fixture(scope="module")
def channels() -> Iterator[tuple[Path, ...]]:
    with cores_beside(1) as nodes:
        yield nodes


@pytest.fixture
def cores(channels: tuple[Path, ...]) -> CoresBeside:
    return CoresBeside(ProcessSandbox(), channels)


def said(source: str, cores: RealTimeCores, folder: Path, *, lines: int = 99) -> tuple[list[str], ExitStatus]:
    """What firmware prints, without the loader's own line, and its end."""
    heard, status = play(
        cores, launch(folder, firmware(source)), lambda all_: len([each for each in all_ if each != SAYS]) == lines
    )
    return [each.removeprefix("stdout: ") for each in heard if each != SAYS], status


def test_the_sample_runs_is_stopped_and_the_core_is_free_again(cores: CoresBeside, tmp_path: Path) -> None:
    for turn in range(2):
        lines, status = play(cores, launch(tmp_path / str(turn), sample()), lambda heard: len(heard) == 3)
        assert lines == [SAYS, "stdout: pulse: started", "stdout: pulse: the timer ticks"]
        assert (status.signal, status.core) == (15, None)
    assert not list(tmp_path.glob("*.core"))


REGISTERS = """
void core_main(void) {
  CORE_REGISTER(0xE000ED08) = (uint32_t)(uintptr_t)core_vectors; /* as Azure Sphere's samples begin */
  CORE_REGISTER(0xE000ED24) = 0x70000; /* faults of their own, which the core does not serve */
  volatile uint8_t *bytes = (volatile uint8_t *)0x21040000;
  volatile uint16_t *halves = (volatile uint16_t *)0x21040000;
  uint32_t base = 0x2103FFF0, value = 0;
  if (bytes[0x14] == 0x60 && bytes[0x15] == 0 && halves[10] == 0x60) core_print("parts");
  __asm__ volatile("ldr %1, [%0, #36]!\\n" : "+r"(base), "=r"(value));
  if (base == 0x21040014 && value == 0x60) core_print("indexed");
  __asm__ volatile("ldrsb %0, [%1, %2]" : "=r"(value) : "r"(0x21040000), "r"(0x14));
  if (value == 0x60) core_print("signed");
  __asm__ volatile("cmp %1, #1\\nitte eq\\nmoveq %0, #5\\nldreq %0, [%2]\\nmovne %0, #7" /* within an IT block */
                   : "+r"(value) : "r"(1), "r"(0x21040014) : "cc");
  if (value == 0x60) core_print("conditional");
  value = CORE_TX_ROOM; CORE_TX_SEND = 4; if (value == 8 && CORE_TX_RESULT == 22) core_print("mailbox");
  CORE_REGISTER(0xE000ED0C) = 0x05FA0004;
  for (;;) {}
}
"""


def test_registers_are_the_same_in_both_and_a_reset_ends_like_a_program(cores: CoresBeside, tmp_path: Path) -> None:
    for number, each in enumerate((cores, EmulatedCores(ProcessSandbox()))):
        lines, status = said(REGISTERS, each, tmp_path / str(number))
        assert lines == ["parts", "indexed", "signed", "conditional", "mailbox"], each.kind
        assert (status.exit_code, status.core) == (0, None), each.kind


FAULTS = {
    "CORE_REGISTER(0x60000000) = 1;": ("BusFault", 0x6000_0000),
    "CORE_REGISTER(0x40004000) = 1;": ("BusFault", 0x4000_4000),  # the board's own line to the host
    "CORE_REGISTER(0x00200000) = 1;": ("BusFault", 0x0020_0000),  # the board's program
    "CORE_REGISTER(0x50000020) = 1;": ("BusFault", 0x5000_0020),
    "((void (*)(void))0x00000001)();": ("BusFault", None),
    '__asm__ volatile("udf #0");': ("UsageFault", None),
    '__asm__ volatile("svc #0");': ("UsageFault", None),
    '__asm__ volatile("bkpt #0");': ("Breakpoint", None),
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_ends_the_core_with_its_registers_as_in_an_emulated_one(
    cores: CoresBeside, tmp_path: Path, code: str
) -> None:
    forged = 'armillary-core: {"kind":"BusFault"}'.replace('"', '\\"')
    source = f'void core_main(void) {{ core_print("{forged}"); {code} core_print("went on"); }}'
    for number, each in enumerate((cores, EmulatedCores(ProcessSandbox()))):
        lines, status = said(source, each, tmp_path / str(number))
        assert lines == ['armillary-core: {"kind":"BusFault"}'], "what firmware prints is no fault"
        assert status.core is not None, each.kind
        assert (status.exit_code, status.signal, status.core.kind) == (None, status.core.signal, FAULTS[code][0])
        if each is cores:
            assert status.core.address == FAULTS[code][1]
        if "void (*)" not in code:
            assert TCM < status.core.pc < TCM + 0x1000, each.kind


def test_firmware_that_hangs_is_ended_by_who_waits_for_it(cores: CoresBeside, tmp_path: Path) -> None:
    lines, status = said('void core_main(void) { core_print("hangs"); for (;;) {} }', cores, tmp_path, lines=1)
    assert (lines, status.signal) == (["hangs"], 15)


def test_firmware_that_floods_output_and_messages_is_stopped(cores: CoresBeside, tmp_path: Path) -> None:
    floods = (
        "static uint8_t id[16], text[1024];\n"
        'void core_main(void) { for (;;) { core_print("flood"); core_send(id, text, 1024); core_send(id, text, 1); } }'
    )
    lines, status = said(floods, cores, tmp_path, lines=20)
    assert {*lines} == {"flood"}
    assert (status.signal, status.core) == (15, None)


# Firmware that has switched the board's protection off, and has the line to the host to itself.
HOSTILE = """
__attribute__((unused)) static void raw(const char *bytes, int size) {
  for (int each = 0; each < size; each++) {
    while (CORE_REGISTER(0x40004004) & 1) {}
    CORE_REGISTER(0x40004000) = (uint8_t)bytes[each];
  }
}
void core_main(void) {
  core_print("begins");
  CORE_REGISTER(0xE000ED94) = 0;
  %s
  for (;;) {}
}
"""
HOSTILE_FRAMES = {
    'raw("\\xc0\\x99garbled\\xc0", 10);': "sends what no core sends",
    'raw("\\xdb\\x01\\xc0", 3);': "sends what no core sends",
    'raw("\\x01load\\xc0", 6);': "sends what no core sends",
    'raw("\\x84short\\xc0", 7);': "expected a component id and 1 to 1024 bytes",
    'raw("\\x84", 1); for (int each = 0; each < 1100; each++) raw("x", 1); raw("\\xc0", 1);': "expected a component id",
    'raw("\\x83", 1); for (;;) raw("x", 1);': "sends what no core sends",
    'raw("\\x87 fault\\xc0", 8);': "expected 32 bytes",
    "CORE_REGISTER(0x40008000) = 1; CORE_REGISTER(0x40008008) = 3; for (;;) {}": None,  # the watchdog's reset
}


@pytest.mark.parametrize("attack", HOSTILE_FRAMES)
def test_firmware_that_takes_the_line_is_ended_and_says_nothing_for_the_device(
    cores: CoresBeside, tmp_path: Path, attack: str
) -> None:
    lines, status = said(HOSTILE % attack, cores, tmp_path)
    assert lines == ["begins"]
    if HOSTILE_FRAMES[attack] is not None:
        assert status.core is not None
        assert status.core.kind == "HardFault"
        assert HOSTILE_FRAMES[attack] in status.core.reason


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"#!/bin/sh\n", "expected an ELF file"),
        (halting(), "expected segments in TCM 0x00100000-0x0012ffff, got .* 0x10000000"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_starts(
    cores: CoresBeside, tmp_path: Path, content: bytes, told: str
) -> None:
    with pytest.raises(InstallError, match=told):
        play(cores, launch(tmp_path, content), lambda _: False)
    assert not list(tmp_path.glob("*.core"))


def test_the_loader_checks_again(cores: CoresBeside, tmp_path: Path) -> None:
    short = elf([(TCM, vectors(stack=0x0013_0000, reset=TCM + 5)[:8])], entry=TCM)
    lines, status = play(cores, launch(tmp_path, short), lambda _: False)
    assert lines == [
        "stderr: the core's loader refuses: firmware: expected a vector table of 16 words, got less at 0x00100000"
    ]
    assert (status.exit_code, status.core) == (69, None)


def test_one_more_application_than_cores_is_refused(cores: CoresBeside, tmp_path: Path) -> None:
    async def run() -> None:
        heard = asyncio.Event()
        first = await cores.start(launch(tmp_path / "1", sample()), lambda _: heard.set())
        try:
            await heard.wait()
            with pytest.raises(SandboxUnavailableError, match="all 1 beside this system are taken"):
                await cores.start(launch(tmp_path / "2", sample()), lambda _: None)
        finally:
            await first.stop(10)
        await (await cores.start(launch(tmp_path / "3", sample()), lambda _: None)).stop(10)

    asyncio.run(run())


def test_a_device_that_was_killed_has_its_core_taken_by_the_next_run(cores: CoresBeside, tmp_path: Path) -> None:
    async def run() -> None:
        heard = asyncio.Event()
        killed = await cores.start(launch(tmp_path / "1", sample()), lambda _: heard.set())
        await heard.wait()
        await killed.stop(0)  # no word to the loader

    asyncio.run(run())
    lines, _ = play(cores, launch(tmp_path / "2", sample()), lambda all_: len(all_) == 3)
    assert lines[1:] == ["stdout: pulse: started", "stdout: pulse: the timer ticks"]


def test_channels_are_the_ports_of_virtio_serial_with_the_name(tmp_path: Path) -> None:
    for port, name in (("vport0p2", "armillary.core.1"), ("vport0p1", "armillary.core.0"), ("vport1p1", "other")):
        (tmp_path / port).mkdir()
        (tmp_path / port / "name").write_text(f"{name}\n")
    (tmp_path / "vport2p1").mkdir()  # without a name
    assert core_channels(tmp_path, Path("/dev")) == (Path("/dev/vport0p1"), Path("/dev/vport0p2"))
    assert core_channels(tmp_path / "nothing") == ()


def test_cores_beside_go_before_emulated_ones_and_the_kind_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = PlatformLimits(name="gateway")
    monkeypatch.setattr(selection, "core_channels", lambda: (Path("/dev/vport0p1"),))
    assert selection.CoresOnDemand(ProcessSandbox()).kind == "core beside this system, not proven to be silicon"
    assert selection.with_cores_beside(limits).real_time_cores == 1
    monkeypatch.setattr(selection, "core_channels", tuple)
    assert selection.CoresOnDemand(ProcessSandbox()).kind == "emulated Cortex-M4, not silicon"
    assert selection.with_cores_beside(limits) == limits
