# SPDX-License-Identifier: Apache-2.0
"""The certificate that a guardian shows: of the catalog that its image is for, and of no other."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, fresh
from tests.guardian.hub.test_outage import certificate_folder

from armillary.guardian.hub.certificate import END, DeviceCertificate
from armillary.guardian.surroundings import surroundings


def test_a_device_of_a_new_owner_is_not_spoken_for_by_the_image_of_the_one_before(
    service: RunningService, tmp_path: Path
) -> None:
    device = service.claimed(service.make_catalog(fresh("Owner"), product="Coffee"))
    folder = certificate_folder(service, device, tmp_path / "daa")
    own = str(device.check_in().catalog_id)
    for catalog in ("", own):
        DeviceCertificate(folder, catalog).context()
    with pytest.raises(PermissionError, match="of another catalog than this image"):
        DeviceCertificate(folder, str(uuid.uuid4())).context()
    (folder / "certificate.pem").write_text(f"nothing{END}")
    with pytest.raises(OSError, match=r"."):
        DeviceCertificate(folder, own).context()


def test_the_catalog_is_the_one_of_the_manifest(tmp_path: Path) -> None:
    variables = {"ARMILLARY_DATA": str(tmp_path), "ARMILLARY_DEVICE_ID": "d" * 128}
    assert surroundings(variables, tmp_path).catalog == ""
    catalog = str(uuid.uuid4())
    manifest = {"Capabilities": {"DeviceAuthentication": catalog.upper()}}
    (tmp_path / "app_manifest.json").write_text(json.dumps(manifest))
    assert surroundings(variables, tmp_path).catalog == catalog
