# SPDX-License-Identifier: Apache-2.0
"""Libraries of ours in place of one that something is linked with and nothing calls (``image/libraries``)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from armillary.device_image.tools import run


def compile_library(source: Path, compiler: str, name: str) -> bytes:
    """A shared library without a C library, of this name."""
    with tempfile.TemporaryDirectory(prefix="armillary-library-") as folder:
        made = Path(folder) / name
        run(
            [
                *(compiler, "-std=gnu11", "-Os", "-shared", "-fPIC", "-nostdlib", "-s", "-Wall", "-Wextra", "-Werror"),
                *("-Wl,--build-id=none", f"-Wl,-soname,{name}", f"-ffile-prefix-map={source.parent}=."),
                *("-o", made, source),
            ]
        )
        return made.read_bytes()
