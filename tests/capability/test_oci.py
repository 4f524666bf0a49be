# SPDX-License-Identifier: Apache-2.0
"""What an OCI runtime is told for a grant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.capability import bundled
from tests.capability.bundled import EVERYTHING, USER

from armillary.capability import confine, oci
from armillary.capability.bubblewrap import bubblewrap_arguments
from armillary.capability.confine import Folders, ImageTree
from armillary.capability.seccomp import ALLOWED
from armillary.capability.syscalls import ARCHITECTURES

NOTHING = Folders()


def mounts(found: oci.Bundle) -> dict[str, dict[str, Any]]:
    return {each["destination"]: each for each in found.config["mounts"]}


def test_the_bundle_of_everything() -> None:
    assert bundled.everything() == json.loads(bundled.FILE.read_text("utf-8"))


def test_nothing_of_the_kernels_privileges_is_kept() -> None:
    process = bundled.bundled(NOTHING).config["process"]
    assert process["noNewPrivileges"] is True
    assert set(process["capabilities"]) == {"bounding", "effective", "inheritable", "permitted", "ambient"}
    assert not any(process["capabilities"].values())
    assert process["terminal"] is False


@pytest.mark.parametrize("user_namespace", [False, True])
def test_it_is_its_own_user_in_namespaces_of_its_own(*, user_namespace: bool) -> None:
    config = bundled.bundled(NOTHING, user_namespace=user_namespace).config
    assert config["process"]["user"] == {"uid": USER, "gid": USER, "additionalGids": [4711]}
    names = {each["type"] for each in config["linux"]["namespaces"]}
    own = {"pid", "network", "ipc", "uts", "mount", "cgroup"}
    assert names == (own | {"user"} if user_namespace else own)
    assert not any("path" in each for each in config["linux"]["namespaces"])
    mapping = [{"containerID": USER, "hostID": 0, "size": 1}]
    assert config["linux"].get("uidMappings") == (mapping if user_namespace else None)
    assert config["linux"].get("gidMappings") == (mapping if user_namespace else None)


def test_only_storage_and_temporary_files_are_written_and_nothing_of_them_runs() -> None:
    found = bundled.bundled()
    assert found.config["root"] == {"path": "rootfs", "readonly": True}
    devices = [f"/dev/{name}" for name in (*confine.DEVICES, "UART2")]
    written = {path for path, each in mounts(found).items() if "ro" not in each["options"]}
    assert {path for path, each in mounts(found).items() if "rro" in each["options"]} == {"/usr", "/opt/python"}
    assert written == {"/proc", "/tmp", "/mnt/data", *devices}
    for path in ("/tmp", "/mnt/data"):
        assert {"nosuid", "nodev", "noexec"} <= set(mounts(found)[path]["options"])
    assert "size=1048576" in mounts(found)["/tmp"]["options"]
    for path in written - {*devices}:
        assert "nodev" in mounts(found)[path]["options"]


def test_what_was_not_granted_is_not_there() -> None:
    granted, plain = mounts(bundled.bundled()), mounts(bundled.bundled(NOTHING))
    more = {"/mnt/data", "/run/armillary/daa", "/run/armillary/application.sock", "/dev/UART2"}
    assert set(granted) - set(plain) == more
    assert set(plain) <= set(granted)


def test_storage_of_its_own_is_mounted_for_it() -> None:
    found = mounts(bundled.bundled(Folders(mounted=True), storage="/made/for/it"))["/mnt/data"]
    assert (found["source"], found["options"]) == ("/made/for/it", mounts(bundled.bundled())["/mnt/data"]["options"])


def test_the_root_has_links_and_files_and_no_terminal() -> None:
    found = bundled.bundled(NOTHING, image=ImageTree(root="/image", entries=("bin",)))
    assert ("usr/lib", "/lib") in found.links
    assert found.files == ("/etc/hosts",)
    target = dict(map(reversed, found.links))["/dev/tty"]
    assert target not in {"/dev/null", *confine.DEVICES}  # to nowhere
    merged = bundled.bundled()
    assert ("usr/lib", "/lib") not in merged.links
    assert mounts(merged)["/lib/paho"]["source"] == "/image/lib/paho"


def test_limits_are_those_of_the_grant() -> None:
    config = bundled.bundled(mutable_storage_kb=4096).config
    limits = {each["type"]: (each["soft"], each["hard"]) for each in config["process"]["rlimits"]}
    grant = bundled.a_grant(mutable_storage_kb=4096)
    assert limits == {f"RLIMIT_{name}": (value, value) for name, value in confine.resource_limits(grant).items()}
    assert config["process"]["oomScoreAdj"] == confine.MEMORY_SCORE
    resources = config["linux"]["resources"]
    assert resources["memory"] == {"limit": grant.limits.memory_bytes, "swap": grant.limits.memory_bytes}
    assert resources["pids"] == {"limit": grant.limits.processes}
    assert resources["devices"] == [{"allow": False, "access": "rwm"}]


def test_what_tells_about_the_machine_is_masked() -> None:
    assert bundled.bundled(NOTHING).config["linux"]["maskedPaths"] == ["/proc/1", "/proc/kcore", "/proc/acpi"]


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_calls_are_refused_by_name(machine: str) -> None:
    """What the launcher's filter allows with some arguments is allowed here; what it never allows is refused."""
    found = bundled.bundled(NOTHING, machine=machine).config["linux"]["seccomp"]
    assert (found["defaultAction"], found["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    allowed = {name for each in found["syscalls"] if each["action"] == "SCMP_ACT_ALLOW" for name in each["names"]}
    known = set(ARCHITECTURES[machine].numbers)
    assert {name for names in ALLOWED.values() for name in names.split()} & known <= allowed
    assert {"connect", "bind", "ioctl", "socket", "clone"} <= allowed
    for name in ("mount", "ptrace", "keyctl", "bpf", "unshare", "setns", "io_uring_setup", "setuid", "open_tree"):
        assert name not in allowed
    (clone,) = (each for each in found["syscalls"] if each["names"] == ["clone"])
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]
    families = [each["args"][0]["value"] for each in found["syscalls"] if each["names"] == ["socket"]]
    assert families == [1, 2, 10]
    (clone3,) = (each for each in found["syscalls"] if each["names"] == ["clone3"])
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_everything_is_handed_over_at_the_same_places_as_by_bubblewrap() -> None:
    text = " ".join(
        bubblewrap_arguments(
            bundled.RUNTIME, bundled.IMAGE, EVERYTHING, generated={"/etc/hosts": 9}, user_namespace=None
        )
    )
    for path, each in mounts(bundled.bundled()).items():
        if each["type"] == "bind":
            assert f"-bind {each['source']} {path} " in text
