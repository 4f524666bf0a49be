# SPDX-License-Identifier: Apache-2.0
"""Where public vectors of others' formats are, which are never copied here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VECTORS = Path(os.environ.get("ARMILLARY_VECTORS_DIR") or Path(__file__).resolve().parents[3] / "shared" / "vectors")


def needs(folder: Path) -> pytest.MarkDecorator:
    """Skips where a folder of vectors is not there."""
    has = folder.relative_to(VECTORS)
    reason = f"foreign vectors are not at {folder}; to enable: ARMILLARY_VECTORS_DIR=FOLDER make test (it has {has}/)"
    return pytest.mark.skipif(not folder.is_dir(), reason=reason)
