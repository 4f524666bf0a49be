# SPDX-License-Identifier: Apache-2.0
"""A shipped application goes to a folder, and from there through pack-application into a package."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from tests.cli.conftest import exits

from armillary.content import applications
from armillary.wire.image import application as application_package, package as image_package


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


@pytest.mark.parametrize("name", applications.names())
def test_a_written_example_packs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog, folder, file = uuid.uuid4(), tmp_path / "made", tmp_path / "made.imagepackage"
    options = ["--name", name, "--catalog-id", str(catalog), "--hub-host", "hub.contoso.example"]
    exits(0, "image-package", "write-example", *options, "--output-directory", str(folder))
    capsys.readouterr()
    packing = ["--package-directory", str(folder), "--output-file", str(file), "--json"]
    exits(0, "image-package", "pack-application", *packing)
    assert json.loads(capsys.readouterr().out)["name"] == name
    application = application_package.open_unverified(image_package.parse(file.read_bytes()))
    asked = application.manifest.capabilities
    if asked.device_authentication is not None:
        assert asked.device_authentication == catalog
        assert list(asked.allowed_connections) == ["hub.contoso.example"]


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_text("mine")
    options = ["--name", "smart_cable", "--catalog-id", str(uuid.uuid4()), "--output-directory", str(tmp_path)]
    exits(1, "image-package", "write-example", *options)
    assert "a new folder" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_an_unknown_name_lists_the_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--name", "toaster", "--catalog-id", str(uuid.uuid4()), "--output-directory", str(tmp_path / "new")]
    exits(1, "image-package", "write-example", *options)
    assert "smart_cable" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
