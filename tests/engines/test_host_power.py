# SPDX-License-Identifier: Apache-2.0
"""Power profiles of a host: files of the kernel as its documentation has them, in a folder that stands for /sys."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.engines.host_sysfs import Sysfs
from tests.fixtures.other_user import run_as_other

from armillary.engines.host import power_profile
from armillary.engines.host.power_profile import HostPower


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path / "sys")


def test_each_kind_of_host_works_by_a_profile_and_as_before_afterwards(sysfs: Sysfs) -> None:
    sysfs.platform("low-power balanced performance", now="balanced")
    sysfs.policy(0, governors="performance powersave", governor="performance", preferences="default performance "
                 "balance_performance balance_power power", preference="performance")  # fmt: skip
    sysfs.policy(1, governors="ondemand userspace performance powersave", governor="ondemand")
    before = sysfs.state()
    host = HostPower(sysfs=sysfs.root)
    held = ("platform profile", "processors' preference", "processors' governor")
    assert host.apply("power-saver") == held
    assert sysfs.state() == {
        "platform_profile": "low-power",
        "policy0/scaling_governor": "powersave",
        "policy0/energy_performance_preference": "power",
        "policy1/scaling_governor": "powersave",
    }
    assert host.apply("high-performance") == held
    assert sysfs.state()["policy0/energy_performance_preference"] == "performance"
    assert (sysfs.state()["platform_profile"], sysfs.state()["policy1/scaling_governor"]) == ("performance",) * 2
    assert host.apply("balanced") == held
    assert sysfs.state()["policy0/energy_performance_preference"] == "balance_performance"
    assert sysfs.state()["policy1/scaling_governor"] == "ondemand"
    host.restore()
    assert sysfs.state() == before


def test_a_host_without_profiles_and_one_with_other_words_is_left_alone(sysfs: Sysfs) -> None:
    assert HostPower(sysfs=sysfs.root).apply("balanced") == ()
    sysfs.policy(0, governors="userspace", governor="userspace")
    assert HostPower(sysfs=sysfs.root).apply("balanced") == ()
    assert sysfs.state() == {"policy0/scaling_governor": "userspace"}


def test_a_file_that_refuses_leaves_everything_as_before(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    sysfs.platform("low-power balanced performance", now="balanced")
    sysfs.policy(0, governors="ondemand powersave", governor="ondemand")
    before = sysfs.state()
    sysfs.refuses(monkeypatch, "scaling_governor")
    with pytest.raises(OSError, match="refused"):
        HostPower(sysfs=sysfs.root).apply("power-saver")
    assert sysfs.state() == before


def test_what_a_killed_device_left_is_given_back_in_the_same_boot_of_the_host(
    sysfs: Sysfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "power-profile.json"
    sysfs.policy(0, governors="ondemand powersave performance", governor="ondemand")
    HostPower(record, sysfs=sysfs.root).apply("power-saver")
    HostPower(record, sysfs=sysfs.root).restore_left()
    assert sysfs.state() == {"policy0/scaling_governor": "ondemand"}
    assert not record.exists()
    HostPower(record, sysfs=sysfs.root).apply("power-saver")
    other = tmp_path / "boot_id"
    other.write_text("another boot")
    monkeypatch.setattr(power_profile, "_BOOT_ID", other)
    HostPower(record, sysfs=sysfs.root).restore_left()
    assert sysfs.state() == {"policy0/scaling_governor": "powersave"}, "since then somebody else has decided"
    assert not record.exists()


def test_a_record_leads_to_no_other_file(sysfs: Sysfs, tmp_path: Path) -> None:
    record, other = tmp_path / "power-profile.json", tmp_path / "other"
    other.write_text("kept")
    boot = power_profile._BOOT_ID.read_text("ascii")
    for text in (json.dumps({"boot": boot, "before": {str(other): "gone"}}), "no JSON", json.dumps([1])):
        record.write_text(text)
        HostPower(record, sysfs=sysfs.root).restore_left()
        assert (other.read_text(), record.exists()) == ("kept", False)


def test_a_device_that_a_user_runs_may_not(tmp_path: Path) -> None:
    """Files of root, as the kernel's are."""
    program = (
        "import sys; from pathlib import Path\n"
        "from armillary.engines.host.power_profile import HostPower\n"
        "try: print(HostPower(sysfs=Path(sys.argv[1])).apply('power-saver'))\n"
        "except PermissionError: print('may not')\n"
    )
    root = Path("/tmp", f"armillary-sysfs-{tmp_path.name}")
    made = Sysfs(root)
    try:
        made.policy(0, governors="ondemand powersave", governor="ondemand")
        found = run_as_other(["-c", program, str(root)])
        assert found.stdout == ("may not\n" if os.geteuid() == 0 else '("processors\' governor",)\n'), found.stderr
    finally:
        made.remove()
