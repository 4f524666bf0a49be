# SPDX-License-Identifier: Apache-2.0
"""One byte range of an HTTP request (RFC 9110 §14.1.2), with which a device resumes a download."""

from __future__ import annotations

import re
from typing import Final

from armillary.service.endpoint.problem import RequestRefusedError

_RANGE: Final = re.compile(rb"bytes=(\d{0,15})-(\d{0,15})")


def parse_range(header: bytes, size: int) -> tuple[int, int]:
    """First and last byte of the one range that ``header`` asks of a content of ``size`` bytes.

    RequestRefusedError (416) for several ranges, another unit, or a range outside of the content.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or (not match[1] and not match[2]):
        raise RequestRefusedError(416, "range: expected one range such as bytes=1024-")
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
        if int(match[2]) == 0:
            raise RequestRefusedError(416, "range: expected at least one byte")
    else:
        first = int(match[1])
        last = min(size - 1, int(match[2])) if match[2] else size - 1
    if first > last or first >= size:
        raise RequestRefusedError(416, f"range: expected bytes within 0 to {size - 1}")
    return first, last
