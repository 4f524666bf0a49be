# SPDX-License-Identifier: Apache-2.0
"""An application's mutable storage where its device starts with another engine than before: nothing lost, nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, reduced

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.storage.use import image_of, storage_use
from armillary.errors import SandboxUnavailableError

# Counts its starts in a file, and shows what it has.
COUNT = """
import os
os.chdir(os.environ["ARMILLARY_DATA"])
with open("starts", "a") as file: file.write("x")
print(os.path.getsize("starts"), sorted(os.listdir()))
"""


def test_what_is_kept_is_there_after_a_start_with_the_other_engine(
    stage: Stage, images_of_root: LinuxSandbox, tmp_path: Path
) -> None:
    """A folder first, moved into a file system, refused where that is not mounted, and there again after that."""
    data = tmp_path / "component"
    data.mkdir(mode=0o700)
    given: dict[str, Any] = {"data": data, "storage": image_of(data), "storage_kb": 64}

    def starts(sandbox: Any) -> list[str]:
        return stage.run(sandbox, COUNT, **given).lines

    assert starts(reduced()) == ["1 ['starts']"]
    assert starts(images_of_root) == ["2 ['starts']"]
    assert list(data.iterdir()) == [], "it is in one place"
    for _ in range(2):
        with pytest.raises(SandboxUnavailableError, match="its mutable storage is a file system"):
            starts(reduced())
        assert list(data.iterdir()) == [], "the start that was refused has begun nothing beside it"
    assert starts(images_of_root) == ["3 ['starts']"]
    assert storage_use(data).files == 1
