# SPDX-License-Identifier: Apache-2.0
"""The process that stands in for real-time cores: ``python -m armillary.device_image.cores FOLDER NUMBER``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from armillary.device_image.cores.loader import serve
from armillary.errors import ArmillaryError

if __name__ == "__main__":
    try:
        asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
    except ArmillaryError as error:
        sys.exit(f"{error.message}\n{error.remedy}")
