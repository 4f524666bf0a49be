# SPDX-License-Identifier: Apache-2.0
"""What a machine says of its service link on its console: the certificate, in one line, or nothing."""

from __future__ import annotations

import base64

import pytest

from armillary.errors import WireError
from armillary.wire.device_image import service_link


def test_the_line_tells_the_certificate_whatever_is_before_it() -> None:
    line = f"[   12.1] armillary: {service_link.line_of(b'a certificate')}\r"
    assert service_link.parse_line(line) == b"a certificate"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "armillary: ready after 8.2 s",
        "armillary: service link: certificate ",
        "armillary: service link: on",
        "service link: certificate AAAA",
        "armillary: 2026-11-29 12:00:00  output  name=an_application  stream=stdout  text=service link: certificate AAAA",
        "armillary: … output  name=x  stream=stdout  text=armillary: service link: certificate AAAA",
    ],
)
def test_other_lines_tell_none(line: str) -> None:
    assert service_link.parse_line(line) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("abc", "base64"), (base64.b64encode(bytes(service_link.MAX_CERTIFICATE_BYTES + 1)).decode(), "at most 4096")],
)
def test_what_cannot_be_one_is_refused(text: str, expected: str) -> None:
    with pytest.raises(WireError, match=expected):
        service_link.parse_line(f"armillary: service link: certificate {text}")
