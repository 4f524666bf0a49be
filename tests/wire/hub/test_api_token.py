# SPDX-License-Identifier: Apache-2.0
"""API tokens in IoT Central's form."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.wire.hub.api_token import encode_api_token, secret_of_header

SECRETS = st.from_regex(r"arm_[A-Za-z0-9_-]{1,60}", fullmatch=True)


@given(SECRETS, st.text(max_size=20), st.text(max_size=20), st.none() | st.integers(0, 2**40))
def test_the_secret_is_found_in_every_form(secret: str, application: str, name: str, expires: int | None) -> None:
    text = encode_api_token(secret, application=application, name=name, expires_at=expires)
    assert text.isascii()
    for header in (text, secret, f"Bearer {secret}", f"bearer  {secret}"):
        assert secret_of_header(header) == secret


@pytest.mark.parametrize(
    "header",
    ["", "Basic abc", "a b", "SharedAccessSignature", "SharedAccessSignature sr=a", "SharedAccessSignature sig=a&sig=b",
     "sharedaccesssignature sig=a", "Bearer", "Bearer ", "SharedAccessSignature sig="],
)  # fmt: skip
def test_a_header_of_no_such_form_has_none(header: str) -> None:
    assert secret_of_header(header) in ("", "Bearer", "SharedAccessSignature")


@given(st.text(max_size=80))
def test_any_header_is_read(header: str) -> None:
    assert isinstance(secret_of_header(header), str)
