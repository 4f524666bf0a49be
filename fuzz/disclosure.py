# SPDX-License-Identifier: Apache-2.0
"""``security.txt`` and reports of strangers: any bytes are read, or are an InvalidArgumentError."""

from __future__ import annotations

import contextlib
from urllib.parse import urlencode

from tests.wire.disclosure.test_security_txt import GOOD, SIGNED
from tests.wire.disclosure.test_submission import GOOD as REPORT

from armillary.errors import InvalidArgumentError
from armillary.wire.disclosure.security_txt import build, parse
from armillary.wire.disclosure.submission import decode, encode, read_form


def seeds() -> list[bytes]:
    return [GOOD, SIGNED, urlencode(REPORT).encode()]


def fuzz(data: bytes) -> None:
    with contextlib.suppress(InvalidArgumentError):
        found = parse(data)
        parse(build(found).encode())
    with contextlib.suppress(InvalidArgumentError):
        report = read_form(data)
        if decode(encode(report)) != report:
            raise AssertionError("a report is kept as another one")
