# SPDX-License-Identifier: Apache-2.0
"""TCG event logs against another reader: tpm2_eventlog of tpm2-tools (Debian: tpm2-tools) replays logs that we make.

Both read the same events and come to the same PCR values, and what is cut within its header neither takes for a log.
"""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from tests.wire.tpm_samples import tcg_event, tcg_header

from armillary.errors import WireError
from armillary.wire.attestation import tcg_event_log as tcg

TOOL = shutil.which("tpm2_eventlog")
pytestmark = pytest.mark.skipif(TOOL is None, reason="needs tpm2_eventlog (Debian: tpm2-tools)")

EV_POST_CODE, EV_SEPARATOR, EV_ACTION, EV_S_CRTM_VERSION, EV_IPL = 1, 4, 5, 8, 13
LOCALITY = tcg_event(0, tcg.EV_NO_ACTION, bytes(32), b"StartupLocality\0\x03")
PCR_LINE = re.compile(r"^ +(\d+) +: 0x([0-9a-f]{64})$")


def read_by_tool(log: bytes, folder: Path) -> tuple[int, str]:
    file = folder / "log"
    file.write_bytes(log)
    assert TOOL is not None
    ran = subprocess.run([TOOL, str(file)], capture_output=True, text=True, timeout=30, check=False)
    return ran.returncode, ran.stdout


def sha256_bank(text: str) -> dict[int, bytes]:
    """The values under ``sha256:`` in the tool's last part."""
    part = text.rsplit("\npcrs:", 1)[1].split("  sha256:", 1)[1].splitlines()
    return {int(found[1]): bytes.fromhex(found[2]) for line in part if (found := PCR_LINE.match(line))}


def made(seed: int, *, locality: bool) -> bytes:
    """A log of plausible events; every PCR has at least one, so that the tool prints them all."""
    source = random.Random(seed)  # noqa: S311 - the same seed, the same log
    log = tcg_header() + (LOCALITY if locality else b"")
    for number in range(source.randint(8, 60)):
        kind = source.choice((EV_POST_CODE, EV_SEPARATOR, EV_ACTION, EV_S_CRTM_VERSION, EV_IPL))
        data = struct.pack("<I", 0) if kind == EV_SEPARATOR else b"event %d\0" % source.randrange(1000)
        pcr = number if number < 8 else source.randrange(8)
        log += tcg_event(pcr, kind, sha256(source.randbytes(8)).digest(), data)
    return log


@pytest.mark.parametrize("seed", range(12))
def test_both_come_to_the_same_pcr_values(seed: int, tmp_path: Path):
    log = made(seed, locality=seed % 3 == 0)
    code, text = read_by_tool(log, tmp_path)
    assert code == 0
    told = sha256_bank(text)
    ours = tcg.replay(tcg.parse_log(log))
    assert sorted(told) == list(range(8))
    assert told == {pcr: ours[pcr] for pcr in told}


def test_the_comparison_notices_a_difference(tmp_path: Path):
    """The positive control: one changed digest is another value in both, and in that PCR only."""
    log = made(99, locality=False)
    at = log.rindex(struct.pack("<H", 11)) + 2
    changed = log[:at] + bytes((log[at] ^ 1,)) + log[at + 1 :]
    before, after = sha256_bank(read_by_tool(log, tmp_path)[1]), sha256_bank(read_by_tool(changed, tmp_path)[1])
    differing = [pcr for pcr in before if before[pcr] != after[pcr]]
    ours = tcg.replay(tcg.parse_log(changed))
    assert len(differing) == 1
    assert ours[differing[0]] == after[differing[0]] != before[differing[0]]


@pytest.mark.parametrize("cut", [0, 8, 31, 40, 60])
def test_what_is_cut_within_its_header_is_no_log_to_either(cut: int, tmp_path: Path):
    log = made(1, locality=False)[:cut]
    with pytest.raises(WireError) as caught:
        tcg.parse_log(log)
    assert caught.value.offset is not None
    code, text = read_by_tool(log, tmp_path)
    assert code != 0 or "sha256" not in text.rsplit("pcrs:", 1)[-1]
