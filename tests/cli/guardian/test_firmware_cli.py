# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian firmware``: signed, sent in pieces to a guardian that takes them; another file is not sent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh
from tests.cli.conftest import Command
from tests.console.guardian_scene import MACHINE, Guarded, Machine

from armillary.cli.guardian.firmware import PIECE_BYTES

CONTENT = bytes(range(251)) * 400
assert PIECE_BYTES < len(CONTENT) < 3 * PIECE_BYTES


@pytest.fixture
def guarded(service: RunningService) -> Iterator[Guarded]:
    made = Guarded(service, service.claimed(service.make_catalog(fresh("Stores"), product="Coffee")), fresh("coffee"))
    yield made
    made.close()


@pytest.fixture
def signed(armillary: Command, tmp_path: Path) -> Path:
    (tmp_path / "firmware.bin").write_bytes(CONTENT)
    armillary("guardian", "profile", "key", "new", "--output-file", str(tmp_path / "key.pem"))
    made = armillary(
        *("guardian", "firmware", "sign", str(tmp_path / "firmware.bin"), "--profile", "guard/coffee"),
        *(
            "--version",
            "113",
            "--key",
            str(tmp_path / "key.pem"),
            "--output-file",
            str(tmp_path / "firmware.dsse"),
            "--json",
        ),
    )
    assert made.json["size"] == len(CONTENT)
    return tmp_path / "firmware.dsse"


def taking(monkeypatch: pytest.MonkeyPatch, *, stuck: bool = False) -> bytearray:
    """The machine's guardian takes pieces; what came of them."""
    there = bytearray()

    def answer(_machine: Machine, name: str, payload: Any) -> tuple[int, dict[str, Any]]:
        assert name == "putFirmware"
        if payload["offset"] == len(there) and not (stuck and there):
            there.extend(base64.b64decode(payload["data"]))
        return 200, {"received": len(there)}

    monkeypatch.setattr(Machine, "answer", answer)
    return there


def push(armillary: Command, guarded: Guarded, file: Path, signed: Path) -> Any:
    return armillary("guardian", "firmware", "push", guarded.device_id, MACHINE, str(file), "--signed", str(signed))


def wanted(guarded: Guarded) -> Any:
    return guarded.running.hub.twins.get(guarded.identity).desired.properties.get("firmware")


def test_a_firmware_is_wanted_and_sent_whole(
    armillary: Command, guarded: Guarded, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = taking(monkeypatch)
    done = push(armillary, guarded, signed.with_name("firmware.bin"), signed)
    assert done.code == 0, done.err
    assert bytes(there) == CONTENT
    assert (wanted(guarded)["version"], wanted(guarded)["size"]) == (113, len(CONTENT))


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", CONTENT[::-1], b""])
def test_another_file_than_the_signed_one_is_not_sent(
    content: bytes, armillary: Command, guarded: Guarded, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = taking(monkeypatch)
    other = signed.with_name("other.bin")
    other.write_bytes(content)
    done = push(armillary, guarded, other, signed)
    assert done.code == 1
    assert "got another file [request.invalid]\n\nhint: Name the file that was signed" in done.err
    assert (bytes(there), wanted(guarded)) == (b"", None)


def test_a_guardian_that_takes_nothing_more_ends_the_push(
    armillary: Command, guarded: Guarded, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking(monkeypatch, stuck=True)
    done = push(armillary, guarded, signed.with_name("firmware.bin"), signed)
    assert done.code == 1
    assert f"putFirmware has {PIECE_BYTES} bytes after those at {PIECE_BYTES}" in done.err
