# SPDX-License-Identifier: Apache-2.0
r"""AWS Signature Version 4 of a request with a body, as S3 and compatible services require it.

::

    canonical request = METHOD \n path \n query \n name:value\n ... \n names \n hash of the body
    string to sign    = AWS4-HMAC-SHA256 \n time \n DATE/REGION/SERVICE/aws4_request \n hash of the canonical request
    key               = HMAC(HMAC(HMAC(HMAC("AWS4" secret, DATE), REGION), SERVICE), "aws4_request")

Source: AWS, "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
# RFC 3986 §2.3; S3 encodes each part of a path once.
_UNRESERVED: Final = "-_.~"


def encode_path(path: str) -> str:
    """A path as it is sent and signed: every part percent-encoded."""
    return "/".join(quote(part, safe=_UNRESERVED) for part in path.split("/"))


def signed_headers(
    method: str,
    host: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    access_key: str,
    secret_key: str,
    region: str,
    now_s: int,
    service: str = "s3",
) -> dict[str, str]:
    """The headers of a signed request: those given, ``Host``, ``x-amz-date``, the body's hash and ``Authorization``.

    ``host`` has a port where it is not the scheme's own; ``path`` is as :func:`encode_path` gives it, without query;
    ``now_s`` is in Unix seconds, and a receiver accepts a difference of a quarter of an hour.
    """
    moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = sha256(body).hexdigest()
    sent = {**headers, "Host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in sent.items())
    names = ";".join(name for name, _ in lines)
    canonical = "\n".join([method, path, "", *(f"{name}:{value}" for name, value in lines), "", names, digest])
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, moment, scope, sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in (moment[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), sha256).digest()
    signature = hmac.new(key, text.encode(), sha256).hexdigest()
    credential = f"Credential={access_key}/{scope},SignedHeaders={names},Signature={signature}"
    return {**sent, "Authorization": f"{ALGORITHM} {credential}"}
