# SPDX-License-Identifier: Apache-2.0
"""Which answers are sent compressed, and to whom. Because of it form tokens are masked: ``frame/guard.py`` FormSeal."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# From this level on time is spent and hardly anything saved: a dashboard of 71 KB has 13.
LEVEL: Final = 5
# What scripts ask for each second is short, and files for keeping may be compressed already.
NOT_PACKED: Final = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/json", "application/octet-stream")


def takes_gzip(accepted: str) -> bool:
    """Whether a value of Accept-Encoding lets an answer be compressed by gzip (RFC 9110 §12.5.3)."""
    weights: dict[str, bool] = {}
    for each in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        weight = next((part[2:].strip() for part in parameters if part.startswith("q=")), "1")
        weights[name] = bool(weight.strip("0."))
    return weights.get("gzip", weights.get("*", False))


class Packing:
    """ASGI layer that compresses pages for who takes them so."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packed = GZipMiddleware(app, compresslevel=LEVEL, exclude_content_types=NOT_PACKED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        is_packed = scope["type"] == "http" and takes_gzip(Headers(scope=scope).get("accept-encoding", ""))
        # Starlette looks for the word alone, and would compress for "gzip;q=0".
        await (self._packed if is_packed else self._plain)(scope, receive, send)
