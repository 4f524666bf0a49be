# SPDX-License-Identifier: Apache-2.0
"""Packages that the Azure Sphere SDK built: they parse, verify, and their file systems are rebuilt byte for byte.

The files are not ours to ship. The test reads ``*.imagepackage`` from ``image-packages/`` in the folder of foreign
vectors.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.foreign_vectors import VECTORS
from tests.fixtures.images import sdk_pair

from armillary.wire.image import application as application_package, asxipfs, package as image_package
from armillary.wire.image.section import AbiDepends, Debug, Identity, SigningKey, TemporaryImage

FILES = sorted((VECTORS / "image-packages").glob("*.imagepackage"))

pytestmark = pytest.mark.skipif(
    not FILES,
    reason="foreign vectors are absent: set ARMILLARY_VECTORS_DIR to a folder with image-packages/*.imagepackage",
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sdk_package(path: Path):
    package = image_package.verify(image_package.parse(path.read_bytes()), [sdk_pair()[1]])
    assert [type(section) for section in package.sections] == [Identity, SigningKey, Debug, TemporaryImage, AbiDepends]
    application = application_package.open_application(package)
    files = {name: entry.content for name, entry in application.filesystem.files.items()}
    executables = [name for name, entry in application.filesystem.files.items() if entry.executable]
    assert asxipfs.build(files, executables) == package.payload
