# SPDX-License-Identifier: Apache-2.0
"""Artifacts: the right bytes from whatever source has them, going on after interruptions and restarts."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.repository.device_side import Network, play
from tests.fixtures.static_server import Misbehaviour, Request, StaticServer, drip, endless, gone, honest

from armillary.device.repository import partial
from armillary.device.repository.artifacts import SPARE_BYTES, Artifacts
from armillary.device.repository.partial import PartialFile, folder_of, forget_downloads
from armillary.errors import DataFolderError, MismatchError, TransferError
from armillary.update.repository.targets import VerifiedTarget

PIECE = 1000
KERNEL = bytes((7 * place + place // 251) % 256 for place in range(3 * PIECE + 333))
TARGET = VerifiedTarget("os/mt3620/26.11/kernel", len(KERNEL), {"sha256": sha256(KERNEL).hexdigest()}, "os")
ADDRESS = f"targets/os/mt3620/26.11/{TARGET.hashes['sha256']}.kernel"
GOOD = {ADDRESS: KERNEL}
EVIL = {ADDRESS: KERNEL[:-1] + b"!"}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "PIECE_BYTES", PIECE)


def fetch(*servers: StaticServer, flash: CutFlash | None = None, target: VerifiedTarget = TARGET) -> Any:
    """The artifact, asked of mirrors in this order."""

    async def story(net: Network) -> Any:
        made = [net.source(f"mirror {number}", server) for number, server in enumerate(servers)]
        artifacts = Artifacts(flash or CutFlash(), net.sources(None, *made), lambda: 10**9)
        return await artifacts.fetch(target, consistent=True)

    return play(story, *servers)


def cut_after(count: int, then: Misbehaviour = honest) -> Misbehaviour:
    """The first answer ends after so many bytes, what comes later is another behaviour's."""
    state = {"first": True}

    async def answer(request: Request) -> bool:
        if not state["first"]:
            return await then(request)
        state["first"] = False
        await request.answer(200, KERNEL[:count], length=len(KERNEL))
        request.writer.close()
        raise ConnectionError

    return answer


def test_an_artifact_is_fetched_and_checked():
    assert fetch(StaticServer(GOOD)) == KERNEL


def test_an_empty_artifact_needs_nobody():
    empty = VerifiedTarget("empty", 0, {"sha256": sha256(b"").hexdigest()}, "os")
    assert fetch(StaticServer({}), target=empty) == b""


def test_an_interrupted_download_goes_on_where_it_stopped():
    server = StaticServer(GOOD, cut_after(1234))
    assert fetch(server) == KERNEL
    assert server.asked == [(ADDRESS, None), (ADDRESS, 1234)]


def test_the_next_source_goes_on_where_the_last_one_failed():
    first, second = StaticServer(GOOD, cut_after(1234, gone)), StaticServer(GOOD)
    assert fetch(first, second) == KERNEL
    assert second.asked == [(ADDRESS, 1234)]


@pytest.mark.parametrize("bad", [drip, endless, gone])
def test_a_bad_mirror_is_survived(bad: Misbehaviour):
    assert fetch(StaticServer(GOOD, bad), StaticServer(GOOD)) == KERNEL


def test_a_mirror_with_other_bytes_is_survived():
    assert fetch(StaticServer(EVIL), StaticServer(GOOD)) == KERNEL


def test_a_mirror_that_spoils_the_end_of_anothers_bytes_is_survived():
    """The good source is flaky, the evil one is there just then: in the end the good one alone is enough."""
    good = StaticServer(GOOD, cut_after(1500, cut_after(1200)))
    assert fetch(good, StaticServer(EVIL)) == KERNEL
    assert fetch(StaticServer(EVIL), StaticServer(GOOD, cut_after(1500))) == KERNEL


def test_other_bytes_everywhere_are_refused_and_nothing_of_them_is_kept():
    flash = CutFlash()
    with pytest.raises(MismatchError, match=r"os/mt3620/26\.11/kernel: expected sha256"):
        fetch(StaticServer(EVIL), StaticServer(EVIL), flash=flash)
    assert flash.durable == {}


def test_no_source_has_it():
    with pytest.raises(TransferError, match="there is no such file"):
        fetch(StaticServer({}))


def test_after_a_restart_the_pieces_in_flash_are_not_fetched_again():
    flash = CutFlash()
    with pytest.raises(TransferError):
        fetch(StaticServer(GOOD, cut_after(2100, gone)), flash=flash)
    assert sorted(flash.durable) == [f"{folder_of(TARGET)}/0", f"{folder_of(TARGET)}/1"]
    server = StaticServer(GOOD)
    assert fetch(server, flash=CutFlash(flash.durable)) == KERNEL
    assert server.asked == [(ADDRESS, 2000)]


@pytest.mark.parametrize("damage", [b"", b"x" * (PIECE - 1), b"x" * (PIECE + 1)])
def test_a_piece_of_another_length_starts_the_file_anew(damage: bytes):
    flash = CutFlash({f"{folder_of(TARGET)}/0": KERNEL[:PIECE], f"{folder_of(TARGET)}/1": damage})
    server = StaticServer(GOOD)
    assert fetch(server, flash=flash) == KERNEL
    assert server.asked == [(ADDRESS, None)]


def test_a_piece_with_other_bytes_costs_a_second_download():
    flash = CutFlash({f"{folder_of(TARGET)}/0": b"x" * PIECE})
    server = StaticServer(GOOD)
    assert fetch(server, flash=flash) == KERNEL
    assert server.asked == [(ADDRESS, 1000), (ADDRESS, None)]


def test_a_cut_at_every_flash_operation_is_survived():
    whole = CutFlash()
    fetch(StaticServer(GOOD), flash=whole)
    assert whole.operations >= 9
    for cut_at in range(1, whole.operations + 1):
        flash = CutFlash(cut_at=cut_at, seed=cut_at)
        with pytest.raises(PowerCutError):
            fetch(StaticServer(GOOD), flash=flash)
        again = CutFlash(flash.durable)
        assert fetch(StaticServer(GOOD), flash=again) == KERNEL
        for number in range(3):
            assert again.durable[f"{folder_of(TARGET)}/{number}"] == KERNEL[number * PIECE : (number + 1) * PIECE]


def test_small_artifacts_do_not_wear_the_flash():
    small = VerifiedTarget("app", PIECE, {"sha256": sha256(KERNEL[:PIECE]).hexdigest()}, "os")
    flash = CutFlash()
    files = {f"targets/{small.hashes['sha256']}.app": KERNEL[:PIECE]}
    assert fetch(StaticServer(files), flash=flash, target=small) == KERNEL[:PIECE]
    assert flash.durable == {}


# -- room ---------------------------------------------------------------------------------------------------------


def room(free: int, flash: CutFlash, *targets: VerifiedTarget) -> None:
    async def story(net: Network) -> None:
        Artifacts(flash, net.sources(None), lambda: free).check_room(targets)

    play(story)


def test_a_set_without_room_is_refused_before_anything_is_fetched():
    needed = 2 * 2 * len(KERNEL) + SPARE_BYTES
    other = VerifiedTarget("other", len(KERNEL), {"sha256": "ab" * 32}, "os")
    room(needed, CutFlash(), TARGET, other)
    with pytest.raises(DataFolderError, match=f"needs {needed} bytes of flash: expected at most the {needed - 1}"):
        room(needed - 1, CutFlash(), TARGET, other)


def test_pieces_of_what_is_no_longer_wanted_make_room():
    flash = CutFlash({f"{folder_of(TARGET)}/0": KERNEL[:PIECE], f"{partial.FOLDER}/{'cd' * 32}/0": b"old"})
    room(2 * len(KERNEL) - PIECE + SPARE_BYTES, flash, TARGET)
    assert list(flash.durable) == [f"{folder_of(TARGET)}/0"]
    forget_downloads(flash)
    assert flash.durable == {}


def test_a_full_flash_ends_the_download_with_its_own_error():
    flash = CutFlash()

    def full(region: str, data: bytes) -> None:
        raise DataFolderError(f"{region}: no space left for {len(data)} bytes", remedy="Free space.")

    flash.write = full  # type: ignore[method-assign]
    with pytest.raises(DataFolderError, match="no space left"):
        fetch(StaticServer(GOOD), flash=flash)


def test_pieces_come_whole_whatever_the_blocks_are():
    flash = CutFlash()
    file = PartialFile(flash, TARGET)
    for at in range(0, len(KERNEL), 7):
        file.write(KERNEL[at : at + 7])
    assert file.finish() == KERNEL
    assert b"".join(flash.durable[f"{folder_of(TARGET)}/{number}"] for number in range(3)) == KERNEL[: 3 * PIECE]
