# SPDX-License-Identifier: Apache-2.0
"""Messages between a real-time and a high-level application on a device, in the sandbox of this host."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.device.rig import provisioned
from tests.device.test_process_sandbox import WAIT_S
from tests.device.test_real_time import PATIENT
from tests.fixtures.core_firmware import SAMPLE, partner_files, sample
from tests.fixtures.waiting import until

from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import SandboxUnavailableError
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.image import application

pytestmark = pytest.mark.anyio


def publish(service: Any, files: Mapping[str, bytes]) -> OfferedImage:
    described = json.loads(files["app_manifest.json"])
    image_id = uuid.uuid4()
    data = application.pack(
        dict(files),
        image_id=image_id,
        built=service.now,
        key=service.image_key,
        certificate=service.image_certificate,
        executables=["bin/app"],
    )
    return service.publish(data, uuid.UUID(described["ComponentId"]), image_id, described["Name"])


@pytest.fixture
def sandbox() -> Any:
    try:
        return open_sandbox("linux")
    except SandboxUnavailableError as error:
        pytest.skip(f"this host contains no application: {error.message}; to enable: sudo apt-get install bubblewrap")


async def test_the_two_samples_talk_and_find_each_other_again(tiny_service: Any, sandbox: Any, tmp_path: Path) -> None:
    core = {"app_manifest.json": (SAMPLE / "app_manifest.json").read_bytes(), "bin/app": sample()}
    async with provisioned(tiny_service, sandbox, tmp_path / "d") as rig:
        rig.service.deploy(publish(rig.service, core), publish(rig.service, partner_files()))
        await rig.start(PATIENT)
        await until(lambda: rig.status().get("state") == "running", "the device", WAIT_S)

        def answers() -> list[str]:
            lines = [each["text"] for each in rig.events("output") if each["name"] == "pulse_panel"]
            return [each for each in lines if each.startswith("PULSE ")]

        await until(lambda: len(answers()) >= 2, "answers in capitals", WAIT_S)
        assert answers()[0] == "PULSE 1"
        pids = {each["name"]: each["pid"] for each in rig.events("application-started")}
        for name in ("pulse_core", "pulse_panel"):
            before = len(answers())
            os.kill(pids[name], signal.SIGKILL)
            await until(
                lambda n=name: len([e for e in rig.events("application-started") if e["name"] == n]) == 2,
                "again",
                WAIT_S,
            )
            await until(lambda b=before: len(answers()) >= b + 2, f"answers after {name} ended", WAIT_S)
