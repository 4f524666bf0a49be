# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the roots of trust: a software TPM for each module of tests, and a device's root in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.swtpm import SwTpm, software_tpm

from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwTpm]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as running:
        yield running


@pytest.fixture
def root(tpm: SwTpm, tmp_path: Path) -> Tpm2RootOfTrust:
    return Tpm2RootOfTrust.create(tmp_path / "root", tpm=tpm.tcti)
