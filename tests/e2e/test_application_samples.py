# SPDX-License-Identifier: Apache-2.0
"""Applications in Python, C, and C++ or Go in one deployment, and one that hangs: a real service, device and sandboxes."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest
from tests.attacks.test_device_time import make
from tests.e2e.test_crash_dump import run_until
from tests.e2e.test_directed_update import GROUP, events
from tests.fixtures.application_samples import APPLIBS, files_of, manifest_of
from tests.fixtures.images import P256, manifest
from tests.fixtures.native_program import native_chip

from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image import application

pytestmark = pytest.mark.e2e

HANGS = b"""#!/usr/bin/env python3
import time
from armillary_application import Device
device = Device()
device.watch(within_s=2)
device.log("now it hangs")
time.sleep(3600)
"""


def packed(described: dict[str, object], files: dict[str, bytes]) -> bytes:
    content = {"app_manifest.json": json.dumps(described).encode(), **files}
    return application.pack(
        content, image_id=uuid.uuid4(), built=1_790_000_000, key=P256[0], certificate=P256[1], executables=["bin/app"]
    )


@pytest.mark.parametrize("third", ["cpp", "go"])
def test_three_languages_in_one_deployment_and_one_that_hangs(tmp_path: Path, third: str) -> None:
    library = (APPLIBS / "python/armillary_application.py").read_bytes()
    made = [packed(manifest_of(sample), dict(files_of(sample))) for sample in ("python", "c", third)]
    made.append(packed(manifest("hangs"), {"bin/app": HANGS, "bin/armillary_application.py": library}))
    with ServiceHost(tmp_path / "service", planner_interval_s=3600.0, check_in_jitter=0.0) as host:
        host.catalog()
        make(host, tmp_path / "device", wall=time.time(), chip=native_chip())
        updates = host.service.updates

        def deploy() -> None:
            ids = [updates.images.upload("Contoso", each, actor="t").image_id for each in made]
            updates.deployments.create(*GROUP, ids, actor="t")

        device = run_until(
            tmp_path / "device",
            (lambda one: bool(events(one, "check-in")), deploy),
            (lambda one: len(events(one, "application-hung")) >= 2, lambda: None),
        )
        said = [(each["name"], each["text"]) for each in events(device, "output") if each["stream"] != "stderr"]
        whole = [("hello_python", "Python"), ("hello_c", "C"), *([("hello_go", "Go")] if third == "go" else [])]
        for sample, language in whole:
            assert (sample, f"{language}: start number 1") in said
            assert (sample, "storage of 8192 bytes") in said
            assert (sample, "memory: memory.statistics needs HeapMemStats in the manifest") in said
            assert (sample, "telemetry: telemetry.send needs DeviceAuthentication in the manifest") in said
            assert (sample, "watched") in said
            assert (sample, f"{language}: start number 2") not in said, "one that beats is not started again"
        if third == "cpp":  # as the device has sent it
            assert ("hello_cpp", "C++: started") in said
            refused = next(text for name, text in said if name == "hello_cpp" and text.startswith("memory "))
            assert json.loads(refused.removeprefix("memory "))["error"]["name"] == "EACCES"
        assert {each["name"] for each in events(device, "application-hung")} == {"hangs"}
        assert said.count(("hangs", "now it hangs")) >= 2, "it is started again"
        blocked = {each["name"] for each in events(device, "capability-blocked")}
        assert blocked == {"hello_python", "hello_c", f"hello_{third}"}
        kinds = {one.kind for one in host.service.watch.list().items}
        assert "capability-blocked" in kinds
