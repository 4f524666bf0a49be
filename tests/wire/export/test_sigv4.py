# SPDX-License-Identifier: Apache-2.0
"""Signature Version 4, judged by the examples of AWS's documentation."""

from __future__ import annotations

from armillary.wire.export.sigv4 import encode_path, signed_headers

KEYS = {
    "access_key": "AKIAIOSFODNN7EXAMPLE",
    "secret_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "region": "us-east-1",
    "now_s": 1369353600,  # 2013-05-24T00:00:00Z
}
HOST = "examplebucket.s3.amazonaws.com"


def signature(found: dict[str, str]) -> str:
    return found["Authorization"].rpartition("Signature=")[2]


def test_get_object() -> None:
    found = signed_headers("GET", HOST, "/test.txt", b"", {"Range": "bytes=0-9"}, **KEYS)  # type: ignore[arg-type]
    assert signature(found) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert found["x-amz-content-sha256"].startswith("e3b0c44298fc1c14")


def test_put_object() -> None:
    headers = {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    path = encode_path("/test$file.text")
    assert path == "/test%24file.text"
    found = signed_headers("PUT", HOST, path, b"Welcome to Amazon S3.", headers, **KEYS)  # type: ignore[arg-type]
    assert signature(found) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    assert found["Authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
    )
