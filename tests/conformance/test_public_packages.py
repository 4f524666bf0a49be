# SPDX-License-Identifier: Apache-2.0
"""Packages that the Azure Sphere SDK built: they parse, verify, and their file systems are rebuilt byte for byte.

The files are not ours to ship. The test reads ``*.imagepackage`` from ``image-packages/`` in the folder of foreign
vectors.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from armillary.wire.image import application as application_package, asxipfs, package as image_package
from armillary.wire.image.section import AbiDepends, Debug, Identity, SigningKey, TemporaryImage

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Path(os.environ.get("ARMILLARY_VECTORS_DIR") or ROOT.parent / "shared" / "vectors") / "image-packages"
FILES = sorted(VECTORS.glob("*.imagepackage"))

pytestmark = pytest.mark.skipif(
    not FILES,
    reason="foreign vectors are absent: set ARMILLARY_VECTORS_DIR to a folder with image-packages/*.imagepackage",
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sdk_package(path: Path):
    file = resources.files("azuresphere_imagemetadata") / "certificates" / "app_test_sign.pfx"
    signer = pkcs12.load_pkcs12(file.read_bytes(), None).cert
    package = image_package.verify(image_package.parse(path.read_bytes()), [signer.certificate])
    assert [type(section) for section in package.sections] == [Identity, SigningKey, Debug, TemporaryImage, AbiDepends]
    application = application_package.open_application(package)
    files = {name: entry.content for name, entry in application.filesystem.files.items()}
    executables = [name for name, entry in application.filesystem.files.items() if entry.executable]
    assert asxipfs.build(files, executables) == package.payload
