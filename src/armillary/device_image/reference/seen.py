# SPDX-License-Identifier: Apache-2.0
"""What QEMU's firmware measured of itself, as it was seen: ``image/firmware-seen.toml``, by the SHA-256 of its file."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Final

from armillary.attest.firmware_reference import FirmwareValue, from_json
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.errors import InvalidArgumentError

FILE: Final = "firmware-seen.toml"


def seen_values(recipe_folder: Path, architecture: str) -> tuple[str, tuple[FirmwareValue, ...]]:
    """Package and version of this host's firmware for a machine, and what it was seen to measure; none if unknown.

    InvalidArgumentError for a file that is not as its first lines say.
    """
    path = recipe_folder / FILE
    try:
        digest = hashlib.sha256(HARDWARE[architecture].firmware.read_bytes()).hexdigest()
        for one in tomllib.loads(path.read_text("utf-8")).get("firmware", []):
            if one["sha256"] == digest:
                return str(one["package"]), from_json(one["values"])
    except OSError as error:
        raise InvalidArgumentError(
            f"{error.filename}: cannot be read ({error.strerror})", remedy="Restore it, or give this user the file."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        reason = f"there is no {error.args[0]} in it" if isinstance(error, KeyError) else str(error)
        raise InvalidArgumentError(
            f"{path}: expected what its first lines say: {reason}", remedy="Mend it, or restore it."
        ) from error
    return "", ()
