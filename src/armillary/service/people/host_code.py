# SPDX-License-Identifier: Apache-2.0
"""A recovery code that is made on the service's host, for who has lost passkeys and codes.

It is a file of the data folder, which only the service's user reads: who can write there could do anything else to the
service, too. The service reads it when somebody types a code, so it need not be stopped, and deletes it with its use.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
from pathlib import Path
from typing import Final

from armillary.engines.durable import not_writable, write_file
from armillary.errors import DataFolderError
from armillary.identity.recovery_code import hash_of

FILE: Final = "recovery-code"
# Enough to walk from the host to the browser.
LIFETIME_S: Final = 900
MAX_FILE_BYTES: Final = 256


def write_host_code(folder: Path, code: str, now: int) -> None:
    """Have a code open the second step once, for :data:`LIFETIME_S` from ``now`` (Unix seconds).

    The one before is void. The file belongs to the owner of the folder, also when root writes it.

    Raises:
        DataFolderError: ``folder`` is no data folder of a service, or cannot be written.
    """
    if not (folder / "format").is_file():
        raise DataFolderError(
            f"{folder} is no data folder of a service", remedy="Name the folder that armillary up uses: --data DIR."
        )
    content = json.dumps({"sha256": hash_of(code).hex(), "until": now + LIFETIME_S}).encode()
    write_file(folder / FILE, content, mode=0o600)
    if os.geteuid() == 0:
        try:
            owner = folder.stat()
            os.chown(folder / FILE, owner.st_uid, owner.st_gid, follow_symlinks=False)
        except OSError as error:
            raise not_writable(folder, error) from error


def use_host_code(folder: Path, typed: str, now: int) -> bool:
    """Whether what was typed is the code of the folder; if so, it is used up."""
    path = folder / FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = json.loads(file.read(MAX_FILE_BYTES))
        digest, until = bytes.fromhex(found["sha256"]), int(found["until"])
    except (OSError, ValueError, TypeError, KeyError):
        return False
    if now > until:
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    if not hmac.compare_digest(digest, hash_of(typed)):
        return False
    try:
        path.unlink()  # fails for the second of two that come at once
    except OSError:
        return False
    return True
