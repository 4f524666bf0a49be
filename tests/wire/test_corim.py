# SPDX-License-Identifier: Apache-2.0
"""CoRIM: what fits is read and written, what does not is refused by its name in the draft, at its byte."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import SignatureError, WireError
from armillary.wire import cbor, corim, cose
from armillary.wire.cbor_cursor import Cursor, head

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = 1_790_000_000
CLAIM = corim.ReferenceClaim(
    component_id=UUID(int=5), image_type=17, layer=0, name="Stage0", image_id=UUID(int=9), security_version=3,
    digest=b"d" * 32,
)  # fmt: skip
VALUE = corim.Corim(
    corim_id=UUID(int=1),
    tag_id=UUID(int=2),
    chip="mt3620",
    os_version="26.11",
    components=(CLAIM, dataclasses.replace(CLAIM, layer=1, component_id=UUID(int=6), vendor="Contoso")),
    entities=(corim.Entity(name="Armillary", roles=(0,)),),
)


class Tag:
    def __init__(self, number: int, content: Any) -> None:
        self.number, self.content = number, content


def enc(value: Any) -> bytes:
    """Deterministic CBOR with tags; bytes, text and integers are leaves."""
    if isinstance(value, Tag):
        return head(6, value.number) + enc(value.content)
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor.encode(key) + enc(value[key]) for key in value)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(enc, value))
    return cbor.encode(value)


def document() -> dict[str, Any]:
    """The parts of a CoRIM of one component, each to be changed on its own."""
    values = {0: {0: "26.11"}, 1: Tag(552, 3), 2: [[1, b"d" * 32]], 10: bytes(16), 11: "Stage0"}
    return {
        "values": values,
        "measurement": {0: 17, 1: values},
        "class": {0: Tag(37, bytes(16)), 2: "mt3620", 3: 0},
        "environment": {},
        "triples": {},
        "comid": {1: {0: b"t" * 16}},
        "corim": {0: b"c" * 16},
        "tag": 506,
    }


def assemble(parts: dict[str, Any]) -> bytes:
    environment = {0: parts["class"], **parts["environment"]}
    triples = {0: [[environment, [parts["measurement"]]]], **parts["triples"]}
    comid = dict(sorted({**parts["comid"], 4: triples}.items()))
    body = dict(sorted({**parts["corim"], 1: [Tag(parts["tag"], enc(comid))]}.items()))
    return enc(Tag(501, body))


def changed(part: str, **fields: Any) -> bytes:
    parts = document()
    for name, value in fields.items():
        key = int(name[1:])
        if value is None:
            del parts[part][key]
        else:
            parts[part][key] = value
            parts[part] = dict(sorted(parts[part].items()))
    parts["measurement"][1] = parts["values"]
    return assemble(parts)


def test_the_assembled_form_is_the_one_we_read():
    found = corim.parse_corim(assemble(document()))
    assert (found.chip, found.os_version, found.components[0].security_version) == ("mt3620", "26.11", 3)
    assert corim.encode_corim(found) == assemble(document())


def test_a_corim_is_written_and_read():
    data = corim.encode_corim(VALUE)
    assert data[:3] == bytes.fromhex("d901f5")  # tag 501
    assert corim.parse_corim(data) == VALUE
    assert not corim.is_signed(data)


def test_a_validity_is_written_and_read():
    value = dataclasses.replace(VALUE, not_before=5, not_after=7, tag_id="release 26.11", entities=())
    assert corim.parse_corim(corim.encode_corim(value)) == value
    with pytest.raises(WireError, match="an end"):
        corim.encode_corim(dataclasses.replace(VALUE, not_before=5))


DOES_NOT_FIT = {
    "version-scheme": changed("values", _0={0: "1", 1: 16384}),
    "min-svn": changed("values", _1=Tag(553, 3)),
    "flags": changed("values", _3={0: True}),
    "raw-value": changed("values", _4=Tag(560, b"x")),
    "mac-addr": changed("values", _6=b"\0" * 6),
    "serial-number": changed("values", _8="1"),
    "ueid": changed("values", _9=b"\0" * 7),
    "cryptokeys": changed("values", _13=[Tag(560, b"x")]),
    "integrity-registers": changed("values", _14={0: [[1, b"d" * 32]]}),
    "int-range": changed("values", _15=1),
    "key 99": changed("values", _99=1),
    "authorized-by": changed("measurement", _2=[Tag(560, b"x")]),
    "index": changed("class", _4=0),
    "instance": changed("environment", _1=Tag(560, b"x")),
    "group": changed("environment", _2=Tag(560, b"x")),
    "endorsed-triples": changed("triples", _1=[[{}, [{}]]]),
    "attest-key-triples": changed("triples", _3=[[{}, []]]),
    "conditional-endorsement-triples": changed("triples", _10=[]),
    "language": changed("comid", _0="en"),
    "linked-tags": changed("comid", _3=[]),
    "dependent-rims": changed("corim", _2=[]),
    "profile": changed("corim", _3=Tag(32, "https://example")),
    "entities": changed("corim", _5=[]),
    "concise-swid-tag": assemble({**document(), "tag": 505}),
    "concise-tl-tag": assemble({**document(), "tag": 508}),
}


@pytest.mark.parametrize("name", DOES_NOT_FIT)
def test_what_does_not_fit_is_refused_by_name_at_its_byte(name: str):
    with pytest.raises(WireError, match=f"{name}, which does not fit") as caught:
        corim.parse_corim(DOES_NOT_FIT[name])
    assert caught.value.offset is not None
    assert 0 < caught.value.offset < len(DOES_NOT_FIT[name])


WRONG = {
    "no svn": (changed("values", _1=None), "measurement-values-map with svn"),
    "no name": (changed("values", _11=None), "with name"),
    "no mkey": (changed("measurement", _0=None), "with mkey"),
    "mkey of text": (changed("measurement", _0="kernel"), "an mkey that is an image type"),
    "svn beyond a fuse word": (changed("values", _1=Tag(552, 32)), "at most 31"),
    "another tag for svn": (changed("values", _1=Tag(554, 3)), "tag 552"),
    "SHA-384": (changed("values", _2=[[7, b"d" * 48]]), "algorithm 1"),
    "SHA-256 by name": (changed("values", _2=[["sha-256", b"d" * 32]]), "algorithm 1"),
    "two digests": (changed("values", _2=[[1, b"d" * 32], [1, b"e" * 32]]), "1 to 1 items"),
    "short digest": (changed("values", _2=[[1, b"d" * 31]]), "32 bytes"),
    "class-id of bytes": (changed("class", _0=Tag(560, b"x")), "class-id that is a UUID"),
    "no model": (changed("class", _2=None), "with model"),
    "layer 1 first": (changed("class", _3=1), "layer 0"),
    "a model that breaks the line": (changed("class", _2="mt\n3620"), "that prints"),
    "tag-version 1": (changed("comid", _1={0: b"t" * 16, 1: 1}), "never changes"),
    "short id": (changed("corim", _0=b"c"), "16 bytes"),
    "reserved tag": (b"\xd9\x01\xf4" + assemble(document())[3:], "tag 501"),
    "old tag of a CoMID": (assemble({**document(), "tag": 507}), "tag 506"),
    "one byte more": (assemble(document()) + b"\0", "the end"),
    "nothing": (b"", "an item"),
    "too large": (bytes(corim.MAX_CORIM_BYTES + 1), "at most"),
    "long head": (b"\xda\x00\x00\x01\xf5" + assemble(document())[3:], "shortest head"),
    "indefinite map": (b"\xd9\x01\xf5\xbf\xff", "definite length"),
    "keys out of order": (enc(Tag(501, {1: [], 0: b"c" * 16})), "a concise-mid-tag|1 to 1 items"),
    "a key twice": (bytes.fromhex("d901f5a2006161006161"), "bytewise order"),
    "a map of four billion": (bytes.fromhex("d901f5baffffffff"), "the end"),
    "a string of four billion": (bytes.fromhex("d901f5a1005affffffff"), "16 bytes"),
    "no UTF-8": (bytes.fromhex("d901f5a10061ff"), "UTF-8"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_at_its_byte(name: str):
    data, named = WRONG[name]
    with pytest.raises(WireError, match=named) as caught:
        corim.parse_corim(data)
    assert caught.value.offset is not None


def test_triples_are_one_release_in_boot_order():
    def encoded(*claims: corim.ReferenceClaim) -> bytes:
        return corim.encode_corim(dataclasses.replace(VALUE, components=claims))

    with pytest.raises(WireError, match="each component once"):
        encoded(CLAIM, dataclasses.replace(CLAIM, layer=1))
    with pytest.raises(WireError, match="layer 0"):
        encoded(dataclasses.replace(CLAIM, layer=3))
    with pytest.raises(WireError, match="1 to 64"):
        encoded()
    data = corim.encode_corim(VALUE)
    at = data.rindex(b"26.11")
    with pytest.raises(WireError, match="one chip and one version"):
        corim.parse_corim(data[:at] + b"26.12" + data[at + 5 :])


def test_every_truncation_is_refused_with_its_offset():
    data = corim.encode_corim(VALUE)
    for size in range(len(data)):
        with pytest.raises(WireError) as caught:
            corim.parse_corim(data[:size])
        assert caught.value.offset is not None
        assert caught.value.offset <= size


# -- signed -------------------------------------------------------------------------------------------------------


def test_a_signed_corim_is_verified():
    data = corim.sign_corim(VALUE, KEY, "Contoso releases", key_id=b"2026")
    assert corim.is_signed(data)
    found = corim.parse_signed_corim(data)
    assert (found.signer, found.key_id, found.not_after) == ("Contoso releases", b"2026", None)
    assert corim.verify_signed_corim(found, KEY.public_key(), now=NOW) == VALUE
    with pytest.raises(SignatureError):
        corim.verify_signed_corim(found, ec.generate_private_key(ec.SECP256R1()).public_key(), now=NOW)


def verified(data: bytes) -> corim.Corim:
    return corim.verify_signed_corim(corim.parse_signed_corim(data), KEY.public_key(), now=NOW)


def test_no_byte_of_a_signed_corim_can_change():
    data = corim.sign_corim(VALUE, KEY, "Contoso")
    for at in range(len(data)):
        with pytest.raises(WireError):  # SignatureError is one
            verified(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])


def signed(headers: dict[int, Any], payload: bytes = b"") -> bytes:
    return cose.encode_sign1(payload or corim.encode_corim(VALUE), KEY, protected=cbor.encode(headers))


META = cbor.encode({0: {0: "Contoso"}})
HEADERS: dict[int, Any] = {1: -7, 3: corim.MEDIA_TYPE, 8: META}


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (signed({1: -7, 8: META}), "content-type"),
        (signed({**HEADERS, 3: "application/cbor"}), "content-type"),
        (signed({1: -7, 3: corim.MEDIA_TYPE}), "corim-meta"),
        (signed({**HEADERS, 15: {1: "me"}}), "header 15, which does not fit"),
        (signed({**HEADERS, 258: -16}), "header 258, which does not fit"),
        (signed({**HEADERS, 4: b""}), "kid"),
        (signed({**HEADERS, 8: cbor.encode({0: {}})}), "signer-name"),
        (signed({**HEADERS, 8: META + b"\0"}), "the end"),
        (signed(HEADERS, b"\xa0"), "tagged-unsigned-corim-map"),
        (corim.encode_corim(VALUE), "tag 18"),
    ],
)
def test_headers_that_do_not_fit_are_refused(data: bytes, named: str):
    with pytest.raises(WireError, match=named):
        corim.parse_signed_corim(data)


def test_nothing_may_stand_outside_the_signature():
    data = corim.sign_corim(VALUE, KEY, "Contoso")
    payload = corim.encode_corim(VALUE)
    at = data.index(payload) - 4  # the empty map before the payload's head
    assert data[at : at + 1] == b"\xa0"
    moved = data[:at] + b"\xa1\x04\x41k" + data[at + 1 :]
    with pytest.raises(WireError, match="outside the signature"):
        corim.parse_signed_corim(moved)


def test_an_offset_in_a_signed_corim_counts_from_its_first_byte():
    payload = DOES_NOT_FIT["profile"]
    data = signed(HEADERS, payload)
    with pytest.raises(WireError) as plain:
        corim.parse_corim(payload)
    with pytest.raises(WireError) as inside:
        corim.parse_signed_corim(data)
    assert inside.value.offset == (plain.value.offset or 0) + data.index(payload)


def test_a_signature_counts_at_its_time():
    validity = enc({0: {0: "Contoso"}, 1: {0: Tag(1, 10), 1: Tag(1, 20)}})
    found = corim.parse_signed_corim(signed({**HEADERS, 8: validity}))
    assert corim.verify_signed_corim(found, KEY.public_key(), now=15) == VALUE
    for now in (9, 21):
        with pytest.raises(WireError, match="counts at"):
            corim.verify_signed_corim(found, KEY.public_key(), now=now)


@pytest.mark.parametrize("argument", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1])
def test_heads_are_the_shortest(argument: int):
    assert head(0, argument) == cbor.encode(argument)
    assert Cursor(head(0, argument), "x").uint("a number", 2**64) == argument
    assert Cursor(cbor.encode(-1 - argument), "x").integer("a number") == -1 - argument


def test_a_head_has_at_most_64_bits():
    with pytest.raises(ValueError, match="65 bits"):
        head(0, 2**64)
