# SPDX-License-Identifier: Apache-2.0
"""Attack: applications reach a core that does not name them, and firmware floods, sends garbage and too much.

A whole device with real sandboxes and compiled firmware, on emulated cores; the first one on cores beside the device,
too. Each attempt has its control: the declared pair talks meanwhile.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.device.rig import Rig, provisioned
from tests.device.test_process_sandbox import WAIT_S
from tests.device.test_real_time import PATIENT, said
from tests.device.tiny_service import TinyService
from tests.fixtures.core_firmware import APPLIBS, firmware, sample
from tests.fixtures.cores_beside import cores_beside
from tests.fixtures.waiting import until

from armillary.engines.real_time import selection
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import SandboxUnavailableError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cores")]


@pytest.fixture
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Emulated cores where nothing else is asked for."""
    if getattr(request, "param", "emulated") == "emulated":
        yield
        return
    with cores_beside(2) as nodes:
        monkeypatch.setattr(selection, "core_channels", lambda: nodes)
        yield


LIBRARY = (APPLIBS / "python/armillary_application.py").read_text()
TALK = """
import errno, select
def connect(number):
    while True:
        try:
            _, found = device.ask_with_descriptors("application.connect", component_id=str(uuid.UUID(int=number)))
            return socket.socket(fileno=found[0])
        except DeviceError as error:
            print(number, errno.errorcode[error.errno], flush=True)
            time.sleep(0.5)
device = Device()
"""
# Says each second what the sample on core 1 answers.
ASKS = "core = connect(1)\nwhile True:\n    core.send(b'ping')\n    print(core.recv(2000).decode(), flush=True)\n    time.sleep(0.2)\n"
# Reads whatever comes from component 5, never more than a message may have.
READS = (
    "core = connect(5)\nsizes = {}\nwhile True:\n    size = len(core.recv(4096))\n"
    "    if size == 0: core = connect(5); continue\n    sizes[size] = sizes.get(size, 0) + 1\n"
    "    if sizes[size] in (1, 100): print(size, sizes[size], flush=True)\n"
)


def program(code: str) -> bytes:
    return f"#!/usr/bin/env python3\n{LIBRARY}\nimport uuid\n{TALK}{code}".encode()


def names(*numbers: int) -> list[str]:
    return [str(uuid.UUID(int=number)) for number in numbers]


@contextlib.asynccontextmanager
async def device(folder: Path, *offered: tuple[int, bytes, bool, tuple[int, ...]]) -> AsyncIterator[Rig]:
    """A device that runs these applications: number, program, whether it is for a core, whom it names."""
    try:
        sandbox = open_sandbox("linux")
    except SandboxUnavailableError as error:
        pytest.skip(f"this host contains no application: {error.message}; to enable: sudo apt-get install bubblewrap")
    async with provisioned(TinyService(), sandbox, folder / "d") as rig:
        made = [
            rig.service.application(
                content,
                component=number,
                real_time=real_time,
                **({"AllowedApplicationConnections": names(*partners)} if partners else {}),
            )
            for number, content, real_time, partners in offered
        ]
        rig.service.deploy(*made)
        await rig.start(PATIENT)
        await until(lambda: rig.status().get("state") == "running", "the device", WAIT_S)
        yield rig


def blocked(rig: Rig, number: int) -> list[str]:
    return [each["host"] for each in rig.events("capability-blocked") if each["name"] == f"app{number}"]


# Sends to a component that its manifest does not name, and to one that does not name it.
REACHES = """
static uint8_t id[16];
void core_tick(void) {}
void core_main(void) {
  core_start_tick(20);
  for (;;) {
    for (uint8_t number = 2; number <= 4; number++) {
      id[15] = number;
      if (core_send(id, (const uint8_t *)"hello", 5)) continue;
      while (CORE_TX_RESULT == CORE_IN_PROGRESS) core_wait();
      core_put((char)('0' + number)); core_put(' ');
      core_put((char)('0' + CORE_TX_RESULT / 10)); core_put((char)('0' + CORE_TX_RESULT % 10)); core_put('\\n');
    }
    for (int wait = 0; wait < 10; wait++) core_wait();
  }
}
"""


@pytest.mark.parametrize("cores", ["emulated", "beside"], indirect=True)
async def test_a_core_and_an_application_that_do_not_name_each_other_do_not_meet(tmp_path: Path) -> None:
    waits = "core = connect(5)\nprint('met', core.recv(100), flush=True)\ntime.sleep(600)\n"
    async with device(
        tmp_path,
        (1, sample(), True, (2,)),
        (2, program(ASKS), False, (1,)),
        (3, program("connect(1)\nprint('met', flush=True)\n"), False, (1, 5)),
        (4, program("connect(1)\nprint('met', flush=True)\n"), False, ()),
        (5, firmware(REACHES), True, (3, 6)),
        (6, program(waits), False, (5,)),
    ) as rig:
        await until(lambda: said(rig, 2).count("PING") >= 2, "the declared pair", WAIT_S)
        await until(lambda: "1 EACCES" in said(rig, 3), "the core does not name it", WAIT_S)
        await until(lambda: "1 EACCES" in said(rig, 4), "it names nobody", WAIT_S)
        await until(lambda: "2 13" in said(rig, 5), "the core names it not", WAIT_S)
        await until(lambda: {"3 00", "4 13"} <= set(said(rig, 5)), "each answer", WAIT_S)
        assert blocked(rig, 4)
        await until(lambda: any(names(2)[0] in each or names(4)[0] in each for each in blocked(rig, 5)), "seen", WAIT_S)
        assert not blocked(rig, 1)
        assert "met" not in {*said(rig, 3), *said(rig, 4)}
        before = said(rig, 2).count("PING")
        await until(lambda: said(rig, 2).count("PING") > before, "the declared pair goes on", WAIT_S)
        assert "met" not in " ".join(said(rig, 2))


FLOODS = """
static uint8_t content[2048];
static uint8_t id[16];
void core_main(void) {
  uint32_t turn = 1;
  for (;;) {
    turn = turn * 1664525u + 1013904223u;
    for (int each = 0; each < 16; each++) id[each] = 0;
    id[15] = 6;
    if (turn >> 30 == 0) { id[0] = (uint8_t)(turn >> 8); id[15] = (uint8_t)turn; }
    if (turn >> 30 == 1) core_send(id, content, 1025 + (turn >> 20 & 511));
    else if (turn >> 30 == 2) { CORE_TX_DATA = turn; CORE_TX_SEND = turn; CORE_RX_DONE = turn; }
    else core_send(id, content, (turn >> 16 & 1) ? 1024 : 17);
    if ((turn & 0xFFFF) == 0) core_print("floods");
  }
}
"""


async def test_firmware_that_floods_and_sends_garbage_harms_nobody(tmp_path: Path) -> None:
    async with device(
        tmp_path,
        (1, sample(), True, (2,)),
        (2, program(ASKS), False, (1,)),
        (5, firmware(FLOODS), True, (6,)),
        (6, program(READS), False, (5,)),
    ) as rig:
        await until(lambda: {"17 100", "1024 100"} <= set(said(rig, 6)), "whole messages arrive", WAIT_S)
        before = said(rig, 2).count("PING")
        await until(lambda: said(rig, 2).count("PING") >= before + 5, "the other pair talks", WAIT_S)
        assert {line.split()[0] for line in said(rig, 6) if line[0].isdigit() and " E" not in line} == {"17", "1024"}
        checks = rig.status()["check_ins"]
        rig.device.check_in_now()
        await until(lambda: rig.status()["check_ins"] > checks, "the device checks in", WAIT_S)
        assert {each["name"] for each in rig.events("application-exited")} <= set()
        await until(lambda: blocked(rig, 5), "what it may not is seen", WAIT_S)


async def test_an_application_that_floods_a_core_harms_nobody(tmp_path: Path) -> None:
    floods = (
        "core = connect(1)\ncore.setblocking(False)\nsent = 0\nwhile True:\n"
        "    try: core.send(b'x' * 1024); sent += 1\n"
        "    except BlockingIOError: select.select([], [core], [], 1)\n"
        "    except OSError: core = connect(1); core.setblocking(False)\n"
        "    if sent in (1, 1000): print('sent', sent, flush=True)\n"
    )
    async with device(
        tmp_path,
        (1, sample(), True, (2, 3)),
        (2, program(ASKS), False, (1,)),
        (3, program(floods), False, (1,)),
    ) as rig:
        await until(lambda: "sent 1000" in said(rig, 3), "the flood", WAIT_S)
        before = said(rig, 2).count("PING")
        await until(lambda: said(rig, 2).count("PING") >= before + 3, "the other partner has its turn", WAIT_S)
        assert not rig.events("application-exited")
