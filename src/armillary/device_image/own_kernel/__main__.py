# SPDX-License-Identifier: Apache-2.0
"""``python -m armillary.device_image.own_kernel build|verdict ARCHITECTURE...``: what ``make image-kernel`` calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from armillary.device_image.own_kernel import fragments
from armillary.device_image.own_kernel.build import build_kernel
from armillary.device_image.own_kernel.judge import judge
from armillary.errors import ArmillaryError


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; 1 with one line and what to do about it if that does not work."""
    parser = argparse.ArgumentParser(prog="python -m armillary.device_image.own_kernel", description=__doc__)
    parser.add_argument("verb", choices=("build", "verdict"))
    parser.add_argument("architectures", nargs="*", metavar="ARCHITECTURE", help="x86_64, arm64; both if none is named")
    parser.add_argument("--cache", type=Path, required=True, help="folder for source and compiled parts: 3 GB")
    parser.add_argument("--checker", type=Path, help="the program kernel-hardening-checker, for verdict")
    given = parser.parse_args(arguments)
    try:
        for architecture in given.architectures or fragments.FRAGMENTS:
            if given.verb == "build":
                _build(architecture, given.cache)
            else:
                _say(judge(architecture, given.checker or Path("kernel-hardening-checker"), _say, cache=given.cache))
    except ArmillaryError as error:
        sys.stderr.write(f"error: {error}\n\nhint: {error.remedy}\n")
        return 1
    return 0


def _build(architecture: str, cache: Path) -> None:
    built = build_kernel(architecture, cache / architecture, _say, cache=cache)
    size = built.path.stat().st_size / 1_000_000
    _say(f"kernel {architecture}: {built.version}, {size:.1f} MB, sha256 {built.sha256}, {built.path}")
    _say(f"kernel {architecture}: {built.compared()}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
