# SPDX-License-Identifier: Apache-2.0
"""A device remembers by itself what it was attested with, and boots nothing older: through its own loop and flash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.device.rig import FAST, Rig, provisioned
from tests.fixtures.waiting import until

from armillary.device.boot.provision import boot_region
from armillary.device.process import Device
from armillary.engines.flash.file import FileFlash
from armillary.errors import BootRefusedError


@pytest.mark.anyio
async def test_once_attested_a_device_boots_no_older_security_version(
    tiny_service: Any, fake_sandbox: Any, tmp_path: Path
) -> None:
    """The old packages are genuine and signed: until version 2 was attested they boot, afterwards not one of them."""
    folder = tmp_path / "d"
    old = tiny_service.os_packages("mt3620")
    tiny_service.security_version = 2
    new = tiny_service.os_packages("mt3620")

    def put(packages: Mapping[str, bytes]) -> None:
        for name, package in packages.items():
            FileFlash(folder / "flash").write(boot_region(name), package)

    async def verdict(rig: Rig) -> str:
        reply = await Device(rig.folder, settings=FAST, sandbox=rig.sandbox).prove_once()
        return str(reply.verdict)

    async with provisioned(tiny_service, fake_sandbox, folder) as rig:
        put(old)
        assert await verdict(rig) == "update-only", "it boots, and the service does not know this release"
        put(new)
        booted = await rig.start()
        await until(lambda: rig.status().get("last_check_in"), "the first check-in of the loop")
        assert rig.status()["last_check_in"]["verdict"] == "attested"
        await rig.stop()
        assert booted.root_of_trust.boot_count == 2
        for packages in (old, {**new, "root-fs": old["root-fs"]}):
            put(packages)
            with pytest.raises(BootRefusedError, match=r"check \(5\)"):
                await Device(rig.folder, settings=FAST, sandbox=rig.sandbox).prove_once()
            assert rig.status()["state"] == "boot-refused"
        put(new)
        assert await verdict(rig) == "attested"
