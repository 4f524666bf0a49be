# SPDX-License-Identifier: Apache-2.0
"""The policy with which a picture is served: it is looked at, never run, also by whoever opens it by its address."""

from __future__ import annotations

from typing import Final

# Value of the header Content-Security-Policy (W3C, level 3). An SVG has its style in itself.
PICTURE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
