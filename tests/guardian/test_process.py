# SPDX-License-Identifier: Apache-2.0
"""The process of a guardian: it does not go on without one of its parts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.guardian.guardian_stage import KEY, NAME, prepare, signed_profile

from armillary.guardian.configuration import EquipmentEntry, GuardianConfiguration
from armillary.guardian.hub.uplink import Uplink
from armillary.guardian.process import serve


def test_a_guardian_whose_uplink_fails_ends_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever started it starts it anew; a guardian that went on would keep everything and send nothing."""

    async def broken(_: Uplink) -> None:
        raise RuntimeError("no way to the hub any more")

    monkeypatch.setattr(Uplink, "run", broken)
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    entry = EquipmentEntry(
        name=NAME, profile="profiles/coffee.dsse", link={"protocol": "modbus-tcp", "host": "127.0.0.1", "port": 1}
    )
    configuration = GuardianConfiguration(equipment=(entry,), profile_keys=(pem,))
    around = prepare(tmp_path, signed_profile())

    async def run() -> None:
        async with asyncio.timeout(20):
            await serve(configuration, around)

    with pytest.raises(RuntimeError, match="no way to the hub"):
        asyncio.run(run())
