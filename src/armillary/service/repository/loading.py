# SPDX-License-Identifier: Apache-2.0
"""Loads the package ``tuf``, which a service at rest does without: call it before importing what imports it.

The package brings signers for clouds' key services and for tokens, and with them their libraries where they happen to
be installed (4 MB of memory for Azure's, 2 MB for PKCS #11). None of them is used here, where ``engines/signer`` signs:
the libraries count as absent while it is loaded.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

UNUSED: Final = ("azure", "pkcs11")


def load_tuf() -> None:
    """Load the package once; calling it again costs nothing."""
    if "tuf.api.metadata" in sys.modules:
        return
    absent = [name for name in UNUSED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # Python lets an import fail where None stands
    try:
        importlib.import_module("tuf.api.metadata")
    finally:
        for name in absent:
            del sys.modules[name]
