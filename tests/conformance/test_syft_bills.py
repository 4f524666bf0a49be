# SPDX-License-Identifier: Apache-2.0
"""Bills of materials of a producer that is not ours: what syft writes of a root file system, from upload to devices.

syft reads a Debian 12 with Python and JavaScript packages, in both formats. The advisories are four of those years, as
OSV has them: Debian's name source packages of a release, which a binary package is found by ("Source:", and its version
where that is another one), the others name packages of their registries.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.advisories.conftest import advisory_folder, clock  # noqa: F401 - fixtures
from tests.service.advisories.fleet import AdvisoryFleet, opened, osv

SYFT = shutil.which("syft", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
pytestmark = pytest.mark.skipif(SYFT is None, reason="no syft; to enable: scripts/install-test-tools")

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: {glibc}

Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: {openssl}

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 12.2.0-14+b1

"""
FORMATS = ("cyclonedx-json", "spdx-json")
AFFECTED = {"DSA-5514-1": "glibc", "DSA-5532-1": "openssl", "PYSEC-2022-190": "django", "GHSA-35jh-r3h4-6jhm": "lodash"}


def debian(name: str, package: str, **fixed: str) -> dict[str, Any]:
    """A record of Debian's: a range for each release, ``v12="2.36-9+deb12u3"``."""
    affected = [
        {
            "package": {"ecosystem": f"Debian:{release[1:]}", "name": package, "purl": f"pkg:deb/debian/{package}?arch=source"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": version}]}],
        }
        for release, version in fixed.items()
    ]  # fmt: skip
    return {"id": name, "modified": "2026-11-01T00:00:00Z", "affected": affected}


RECORDS = (
    debian("DSA-5514-1", "glibc", v11="2.31-13+deb11u7", v12="2.36-9+deb12u3"),
    debian("DSA-5532-1", "openssl", v12="3.0.11-1~deb12u2"),
    debian("DSA-0000-11", "openssl", v11="9:9"),  # another release
    debian("DSA-0000-12", "gcc-12", v12="12.2.0-14"),  # the source's version is not the binary's
    osv("PYSEC-2022-190", "Django", fixed="3.2.13"),
    osv("GHSA-35jh-r3h4-6jhm", "lodash", fixed="4.17.21", ecosystem="npm"),
    osv("GHSA-q2x7-8rv6-6q7h", "jinja2", fixed="3.1.5"),
)


@pytest.fixture
def fleet(advisory_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[AdvisoryFleet]:  # noqa: F811
    with opened(copy_of(advisory_folder, tmp_path / "data"), clock) as service:
        made = AdvisoryFleet(service, tmp_path, clock)
        made.release_bill("pkg:pypi/flask@3.0.0")
        yield made


def root(folder: Path, *, glibc: str, openssl: str, django: str, lodash: str, jinja: str) -> Path:
    """A root file system with these versions."""
    files = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12"\n',
        "var/lib/dpkg/status": STATUS.format(glibc=glibc, openssl=openssl),
        "opt/tap/package-lock.json": json.dumps(
            {"name": "tap", "lockfileVersion": 3, "packages": {"node_modules/lodash": {"version": lodash}}}
        ),
    }
    for name, version in (("Django", django), ("Jinja2", jinja)):
        place = f"usr/lib/python3/dist-packages/{name}-{version}.dist-info"
        files[f"{place}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files[f"{place}/RECORD"] = ""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def bills(folder: Path) -> dict[str, bytes]:
    """What syft writes of a folder: format -> document."""
    assert SYFT is not None
    outputs = {each: folder.parent / f"{folder.name}.{each}" for each in FORMATS}
    named = [word for each, path in outputs.items() for word in ("-o", f"{each}={path}")]
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false", "HOME": str(folder.parent)}
    done = subprocess.run(
        [SYFT, "scan", f"dir:{folder}", "-q", *named], env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return {each: path.read_bytes() for each, path in outputs.items()}


@pytest.fixture
def folder() -> Iterator[Path]:
    """syft leaves out /dev, /proc and /sys: temporary folders of tests may be in /dev/shm."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        yield Path(made)


def test_what_syft_lists_is_affected_and_repaired_as_osv_says(fleet: AdvisoryFleet, folder: Path) -> None:
    old = {"glibc": "2.36-9+deb12u1", "openssl": "3.0.9-1", "django": "3.2.10", "lodash": "4.17.20"}
    new = {"glibc": "2.36-9+deb12u3", "openssl": "3.0.11-1~deb12u2", "django": "3.2.13", "lodash": "4.17.21"}
    fleet.feed(*RECORDS, ecosystems=("Debian", "PyPI", "npm"))
    devices: dict[tuple[str, str], str] = {}
    for name, versions in (("old", old), ("new", new)):
        for form, document in bills(root(folder / name, **versions, jinja="3.1.5")).items():
            devices[name, form] = fleet.device(fleet.image(document=document))
    before = sorted(devices["old", each] for each in FORMATS)
    for advisory, package in AFFECTED.items():
        assert fleet.affected(advisory) == before, (advisory, package)
        (first, second) = (
            one for one in fleet.show(advisory)["artifacts"] if one["state"] == "affected" and one["kind"] == "image"
        )
        assert first["components"] == second["components"], "both formats say the same"
    for advisory in ("DSA-0000-11", "DSA-0000-12", "GHSA-q2x7-8rv6-6q7h"):
        assert fleet.affected(advisory) == [], advisory
    for one in fleet.advisories.answers.coverage("Contoso"):
        if one["kind"] == "image":
            assert one["uncovered"] == {}, "every ecosystem that it lists is in the feed"
            assert one["not_assessed_components"] == [], one
