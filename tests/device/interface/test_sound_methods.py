# SPDX-License-Identifier: Apache-2.0
"""What an application does with its sound bus over its interface, and that others do nothing with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device.interface.asking import Asked
from tests.device.interface.peripheral_bench import Bench
from tests.engines.peripherals.sound_kernel import board_of

from armillary.engines.peripherals.port import SOUND_LIMIT_BYTES
from armillary.engines.sandbox.port import ConnectionAttempt

pytestmark = pytest.mark.anyio
FORMAT = {"rate_hz": 16000, "bits": 16, "channels": 1}
OPENED = {"frame_bytes": 2, "frames_limit": SOUND_LIMIT_BYTES // 2, "simulated": True}


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def blocked(asked: Asked) -> list[str]:
    return [each.host for each in asked.events if isinstance(each, ConnectionAttempt) and not each.allowed]


async def test_frames_come_in_and_go_out(bench: Bench) -> None:
    bench.world.sounds["I2S0"].play(1000)
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        assert await client.ask("i2s.open-input", bus="I2S0", **FORMAT) == OPENED
        found = await client.ask("i2s.read", bus="I2S0", frames=4, timeout_ms=1000)
        data = bytes.fromhex(found["data"])
        assert (data[:2], found["simulated"]) == (bytes(2), True)
        assert 2 <= len(data) <= 8
        assert len(data) % 2 == 0
        assert await client.ask("i2s.open-output", bus="I2S0", **FORMAT) == OPENED
        written = await client.ask("i2s.write", bus="I2S0", data="0102" * 100)
        assert written == {"frames": 100, "gaps": 0, "simulated": True}
        assert bytes(bench.world.sounds["I2S0"].kept) == b"\x01\x02" * 100
        assert await client.ask("i2s.close", bus="I2S0") == {}
        for method, parameters in (("i2s.read", {"frames": 1}), ("i2s.write", {"data": "0102"}), ("i2s.close", {})):
            assert (await client.ask(method, bus="I2S0", **parameters))["name"] == "EBADF"
        assert blocked(asked) == []


async def test_it_ends_with_the_run(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        await asked.client().ask("i2s.open-input", bus="I2S0", **FORMAT)
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        assert (await client.ask("i2s.read", bus="I2S0", frames=1))["name"] == "EBADF"
        assert await client.ask("i2s.open-input", bus="I2S0", **FORMAT) == OPENED


async def test_nodes_of_the_kernel_are_let_go_with_the_run(tmp_path: Path) -> None:
    kernel, board = board_of("/dev/snd/pcmC0D0c", "/dev/snd/pcmC0D0p")
    bench = Bench(tmp_path, board)
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        opened = {"frame_bytes": 2, "frames_limit": SOUND_LIMIT_BYTES // 2}
        for method in ("i2s.open-input", "i2s.open-input", "i2s.open-output"):
            assert await client.ask(method, bus="I2S0", **FORMAT) == opened
        assert sorted(kernel.descriptors.values()) == ["/dev/snd/pcmC0D0c", "/dev/snd/pcmC0D0p"]
        for number, timeout_ms in ((10, 200), (11, 0)):
            parameters = {"bus": "I2S0", "frames": 9, "timeout_ms": timeout_ms}
            await client.send({"id": number, "method": "i2s.read", "parameters": parameters})
        answers = [await client.take(), await client.take()]
        assert [each and each["id"] for each in answers] == [10, 11], "one at a time looks for frames"
        kernel.incoming += b"abcd"
        assert await client.ask("i2s.read", bus="I2S0", frames=9) == {"data": "61626364", "gaps": 0}
        assert await client.ask("i2s.read", bus="I2S0", frames=9, timeout_ms=30) == {"data": "", "gaps": 0}
        assert await client.ask("i2s.write", bus="I2S0", data="00" * 100) == {"frames": 32, "gaps": 0}
    assert kernel.descriptors == {}
    bench.use.close()


async def test_another_ones_bus_is_refused_and_reported(bench: Bench) -> None:
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        for method in ("i2s.open-input", "i2s.open-output"):
            assert (await client.ask(method, bus="I2S1", **FORMAT))["name"] == "EACCES"
        assert (await client.ask("i2s.read", bus="I2S1", frames=1))["name"] == "EACCES"
    assert blocked(asked)[0] == "i2s.open-input of I2sSubordinate I2S1 without I2sSubordinate"
    async with bench.host.open(bench.nobody) as asked:
        refused = await asked.client().ask("i2s.open-input", bus="I2S0", **FORMAT)
        assert (refused["name"], refused["error_id"]) == ("EACCES", 2 << 20 | 13)
    assert "I2S0" not in bench.world.show()["I2sSubordinate"]


async def test_what_is_no_format_and_no_frame(bench: Bench) -> None:
    wrong = (
        {"rate_hz": 12345}, {"rate_hz": "16000"}, {"rate_hz": True}, {"bits": 8}, {"bits": 16.0}, {"channels": 0},
        {"channels": 5}, {"more": 1},
    )  # fmt: skip
    async with bench.host.open(bench.mine) as asked:
        client = asked.client()
        for each in wrong:
            assert (await client.ask("i2s.open-input", bus="I2S0", **(FORMAT | each)))["name"] == "EINVAL", each
        assert await client.ask("i2s.open-input", bus="I2S0", **FORMAT) == OPENED
        assert await client.ask("i2s.open-output", bus="I2S0", **FORMAT | {"channels": 2}) == OPENED | {
            "frame_bytes": 4,
            "frames_limit": SOUND_LIMIT_BYTES // 4,
        }
        for frames in (0, SOUND_LIMIT_BYTES // 2 + 1, "1"):
            assert (await client.ask("i2s.read", bus="I2S0", frames=frames))["name"] == "EINVAL"
        for data in ("", "0102", "010203040", "0A" * 4, "00" * (SOUND_LIMIT_BYTES + 4)):
            assert (await client.ask("i2s.write", bus="I2S0", data=data))["name"] == "EINVAL", data[:20]
        assert (await client.ask("i2s.write", bus="I2S0", data="00" * SOUND_LIMIT_BYTES))["frames"] == 4096
        assert len((await client.ask("i2s.read", bus="I2S0", frames=SOUND_LIMIT_BYTES // 2, timeout_ms=1000))["data"])
