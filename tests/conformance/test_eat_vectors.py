# SPDX-License-Identifier: Apache-2.0
"""RFC 9711 examples (github.com/ietf-rats-wg/eat): what our CBOR, COSE and claims say about them.

What these examples can show: that our strict CBOR carries their claims-sets, that we mean the same types by the
claims we use, and that a foreign token is refused as evidence. What they cannot show: that our evidence is a
correct EAT profile; nobody publishes tokens of it.

Deviations, each checked below:

- The full token (``valid_cwt``) is wrapped in tag 61 (CWT); here a message is a COSE_Sign1 and nothing around it.
- Its payload has map keys out of order: valid CBOR, not deterministic, refused.
- Examples with CBOR tags (CoSWID, detached bundle) are outside the profile.
- ``submods.diag`` uses 271 for swname and ``valid_key_store.diag`` crv 2 for P-256; the registered numbers are
  270 and 1 and are what we use.
- The examples' UEIDs have 16 bytes; RFC 9711 §4.2.1.1 asks for 17, 25 or 33, and ours have 33.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.errors import WireError
from armillary.wire.attestation import evidence
from armillary.wire.encoding import cbor, cose

FOLDER = VECTORS / "eat"
pytestmark = needs(FOLDER)

TOKEN = re.compile(
    r"""\s+ | /[^/]*/ | (?P<bytes>h'[0-9A-Fa-f\s]*') | (?P<text>"(?:[^"\\]|\\.)*") | (?P<number>-?\d+)
      | (?P<word>true|false|null) | (?P<mark>[\[\]{}():,])""",
    re.VERBOSE,
)
CLAIMS_SETS = (
    "minimal",
    "simple",
    "submods",
    "valid_hw_block",
    "valid_hw_block2",
    "valid_iot",
    "valid_key_store",
    "valid_submods",
    "valid_tee",
)
TAGGED = ("hlos", "iot-sw", "key-store", "tee-coswid", "valid_cwt", "valid_deb")


class Tag:
    def __init__(self, number: int, value: Any) -> None:
        self.number, self.value = number, value


def read_diag(text: str) -> Any:
    """RFC 8949 §8 diagnostic notation, the part these examples use."""
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match, text[at : at + 40]
        at = match.end()
        if match.lastgroup:
            tokens.append((match.lastgroup, match[0]))
    value, rest = _value(tokens)
    assert not rest
    return value


def _value(tokens: list) -> tuple[Any, list]:
    (kind, text), *rest = tokens
    if kind == "bytes":
        return bytes.fromhex(text[2:-1]), rest
    if kind == "text":
        return json.loads(text), rest
    if kind == "word":
        return {"true": True, "false": False, "null": None}[text], rest
    if kind == "number":
        if rest and rest[0][1] == "(":
            inner, rest = _value(rest[1:])
            return Tag(int(text), inner), rest[1:]
        return int(text), rest
    items: list[Any] = []
    pairs: dict[Any, Any] = {}
    close = {"[": "]", "{": "}"}[text]
    while rest[0][1] != close:
        item, rest = _value(rest)
        if text == "{":
            assert rest[0][1] == ":"
            pairs[item], rest = _value(rest[1:])
        else:
            items.append(item)
        if rest[0][1] == ",":
            rest = rest[1:]
    return (items if text == "[" else pairs), rest[1:]


def load(name: str) -> Any:
    return read_diag((FOLDER / f"{name}.diag").read_text())


def test_every_example_is_accounted_for():
    assert {path.stem for path in FOLDER.glob("*.diag")} == {*CLAIMS_SETS, *TAGGED}


@pytest.mark.parametrize("name", CLAIMS_SETS)
def test_claims_sets_are_carried(name: str):
    claims = load(name)
    data = cbor.encode(claims)
    assert cbor.decode(data, what=name, limit=8192) == claims
    for claim in (10, 256, 258, 262, 263):
        assert claim not in claims or list(claims).count(claim) == 1


@pytest.mark.parametrize("name", CLAIMS_SETS)
def test_claims_we_use_have_the_types_we_use(name: str):
    claims = load(name)
    assert evidence.MIN_CHALLENGE_BYTES <= len(claims[10]) <= evidence.MAX_CHALLENGE_BYTES
    if 256 in claims:
        assert claims[256][:1] == evidence.ueid(bytes(64))[:1]  # RAND
        assert len(claims[256]) == 16, "the examples' own shortness"
        assert len(evidence.ueid(bytes(64))) in (17, 25, 33)
    if isinstance(claims.get(259), bytes):
        assert 1 <= len(claims[259]) <= evidence.MAX_CHIP_BYTES  # hwmodel is a byte string
    if isinstance(claims.get(258), bytes):
        assert len(claims[258]) in (3, 16)  # oemid: IEEE or random


@pytest.mark.parametrize("name", CLAIMS_SETS)
def test_foreign_claims_are_no_evidence(name: str):
    from armillary.identity.dice import alias_key  # noqa: PLC0415 - one key, one test

    token = cose.encode_sign1(cbor.encode(load(name)), alias_key(b"k" * 32))
    with pytest.raises(WireError):
        evidence.parse_evidence(token)


@pytest.mark.parametrize("name", TAGGED)
def test_tagged_examples_are_outside_the_profile(name: str):
    assert isinstance(load(name), Tag)


def test_full_token():
    outer = load("valid_cwt")
    assert (outer.number, outer.value.number) == (61, 18)
    body = cbor.encode(outer.value.value)
    with pytest.raises(WireError, match="tag 18"):
        cose.parse_sign1(b"\xd8\x3d\xd2" + body)
    parsed = cose.parse_sign1(b"\xd2" + body)
    assert parsed.protected == cose.ES256_PROTECTED
    with pytest.raises(WireError, match="bytewise order"):
        cbor.decode(parsed.payload, what="payload", limit=1000)
    with pytest.raises(WireError):
        evidence.parse_evidence(b"\xd2" + body)


@pytest.mark.parametrize("name", ["simple", "submods", "valid_results"])
def test_json_examples_show_the_same_nonce_rule(name: str):
    """JSON EATs are not read here; the examples confirm that a nonce is 8 to 64 bytes (11 to 88 characters)."""
    claims = json.loads((FOLDER / f"{name}.json").read_text())
    assert 11 <= len(claims["eat_nonce"]) <= 88
