# SPDX-License-Identifier: Apache-2.0
"""API tokens in IoT Central's form, so that scripts written for it can send ours unchanged.

``SharedAccessSignature sr={application}&sig={secret}&skn={name}&se={expiry, Unix milliseconds}``. There ``sig`` is a
signature that only that service can check; here it is the secret of an operator token, percent-encoded. Scripts send
the whole text as the Authorization header. A token by itself, and ``Bearer`` before it, are taken as well.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

SCHEME: Final = "SharedAccessSignature"


def encode_api_token(secret: str, *, application: str, name: str, expires_at: int | None) -> str:
    """The text of a token that its owner sees once; ``expires_at`` in Unix seconds, None for never.

    ``application`` says for people what it is for: the catalog.
    """
    text = f"{SCHEME} sr={quote(application, safe='')}&sig={quote(secret, safe='')}&skn={quote(name, safe='')}"
    return text if expires_at is None else f"{text}&se={expires_at * 1000}"


def secret_of_header(header: str) -> str:
    """The secret in an Authorization header of any of the three forms; empty for none.

    Only ``sig`` is read: the other fields are for people, and the secret alone identifies its token.
    """
    scheme, _, rest = header.strip().partition(" ")
    if scheme == SCHEME:
        fields = [pair.partition("=")[::2] for pair in rest.strip().split("&")]
        found = [value for name, value in fields if name == "sig"]
        return unquote(found[0]).strip() if len(found) == 1 else ""
    if scheme.lower() == "bearer":
        return rest.strip()
    return scheme if not rest.strip() else ""
