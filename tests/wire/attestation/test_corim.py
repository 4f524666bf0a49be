# SPDX-License-Identifier: Apache-2.0
"""CoRIM: what fits is read and written, what says nothing about reference values is passed over and named.

What could limit them is refused by its name in the draft, at its byte.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import SignatureError, WireError
from armillary.wire.attestation import corim, corim_fields, corim_signed
from armillary.wire.encoding import cbor, cose
from armillary.wire.encoding.cbor_cursor import Cursor, head

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = 1_790_000_000
CLAIM = corim_fields.ReferenceClaim(
    component_id=UUID(int=5), image_type=17, layer=0, name="Stage0", image_id=UUID(int=9), security_version=3,
    digest=b"d" * 32,
)  # fmt: skip
VALUE = corim.Corim(
    corim_id=UUID(int=1),
    tag_id=UUID(int=2),
    chip="mt3620",
    os_version="26.11",
    components=(CLAIM, dataclasses.replace(CLAIM, layer=1, component_id=UUID(int=6), vendor="Contoso")),
    entities=(corim_fields.Entity(name="Armillary", roles=(0,)),),
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


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else "x"


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
    "key 11": changed("triples", _11=[]),
    "key 7": changed("corim", _7=1),
}


@pytest.mark.parametrize("name", DOES_NOT_FIT)
def test_what_does_not_fit_is_refused_by_name_at_its_byte(name: str):
    with pytest.raises(WireError, match=f"{name}, which does not fit") as caught:
        corim.parse_corim(DOES_NOT_FIT[name])
    assert caught.value.offset is not None
    assert 0 < caught.value.offset < len(DOES_NOT_FIT[name])


WRONG = {
    "no digests": (changed("values", _2=None), "measurement-values-map with digests"),
    "a number beyond image types": (changed("measurement", _0=70000), "an mkey that is an image type"),
    "svn beyond a fuse word": (changed("values", _1=Tag(552, 32)), "at most 31"),
    "another tag for svn": (changed("values", _1=Tag(554, 3)), "tag 552"),
    "SHA-384": (changed("values", _2=[[7, b"d" * 48]]), "only a digest of algorithm 7"),
    "SHA-256 in its second short form": (changed("values", _2=[[3, b"d" * 16]]), "algorithm 1"),
    "two digests": (changed("values", _2=[[1, b"d" * 32], [1, b"e" * 32]]), "a second one"),
    "two, one by name": (changed("values", _2=[["sha-256", b"d" * 32], [1, b"e" * 32]]), "a second one"),
    "short digest": (changed("values", _2=[[1, b"d" * 31]]), "32 bytes"),
    "class-id of a key": (changed("class", _0=Tag(557, b"x")), "class-id that is a UUID"),
    "a model that breaks the line": (changed("class", _2="mt\n3620"), "that prints"),
    "short id": (changed("corim", _0=b"c"), "16 bytes"),
    "reserved tag": (b"\xd9\x01\xf4" + assemble(document())[3:], "tag 501"),
    "old tag of a CoMID": (assemble({**document(), "tag": 507}), "tag 506"),
    "one byte more": (assemble(document()) + b"\0", "the end"),
    "nothing": (b"", "an item"),
    "too large": (bytes(corim_fields.MAX_CORIM_BYTES + 1), "at most"),
    "long head": (b"\xda\x00\x00\x01\xf5" + assemble(document())[3:], "shortest head"),
    "indefinite map": (b"\xd9\x01\xf5\xbf\xff", "definite length"),
    "a key twice": (bytes.fromhex("d901f5a2006161006161"), "each once"),
    "no CoMID, but another tag": (assemble({**document(), "tag": 505}), "it holds a concise-swid-tag"),
    "nested without end": (changed("comid", _0=nested(40)), "nested at most"),
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
    def encoded(*claims: corim_fields.ReferenceClaim) -> bytes:
        return corim.encode_corim(dataclasses.replace(VALUE, components=claims))

    with pytest.raises(WireError, match="each component once"):
        encoded(CLAIM, dataclasses.replace(CLAIM, layer=1))
    later = dataclasses.replace(CLAIM, component_id=UUID(int=6))
    for layer in (2, None):
        with pytest.raises(WireError, match="layers that follow one another, or all without"):
            encoded(CLAIM, dataclasses.replace(later, layer=layer))
    found = corim.parse_corim(encoded(dataclasses.replace(later, layer=1), CLAIM))
    assert [one.layer for one in found.components] == [0, 1]
    with pytest.raises(WireError, match="1 to 64 items"):
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
    assert (found.envelope.signer, found.envelope.key_id, found.envelope.not_after) == (
        "Contoso releases",
        b"2026",
        None,
    )
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
HEADERS: dict[int, Any] = {1: -7, 3: corim_signed.MEDIA_TYPE, 8: META}


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (signed({1: -7, 8: META}), "content-type"),
        (signed({**HEADERS, 3: "application/cbor"}), "content-type"),
        (signed({1: -7, 3: corim_signed.MEDIA_TYPE}), "corim-meta"),
        (signed({**HEADERS, 258: -16}), "header 258, which does not fit"),
        (signed({1: -7, 3: corim_signed.MEDIA_TYPE, 15: {2: "x"}}), "with an issuer"),
        (signed({**HEADERS, 15: {4: -1}}), "exp|in whole seconds"),
        (signed({**HEADERS, 1: -35}), "ES256"),
        (signed({**HEADERS, 4: b""}), "kid"),
        (signed({**HEADERS, 8: cbor.encode({0: {}})}), "signer-name"),
        (signed({**HEADERS, 8: META + b"\0"}), "the end"),
        (signed(HEADERS, b"\xa0"), "tagged-unsigned-corim-map"),
        (corim.encode_corim(VALUE), r"\(tag 18\)"),
    ],
)
def test_headers_that_do_not_fit_are_refused(data: bytes, named: str):
    with pytest.raises(WireError, match=named):
        corim.parse_signed_corim(data)


def around(protected: bytes, unprotected: bytes = b"\xa0") -> bytes:
    """VALUE, signed as somebody else encodes it: any bytes as the protected header, and what stands beside it."""
    message = cose.parse_sign1(cose.encode_sign1(corim.encode_corim(VALUE), KEY, protected=HEADER_BYTES))
    made = cose.encode_sign1(message.payload, KEY, protected=protected)
    empty = b"\xd2\x84" + enc(protected)
    assert made.startswith(empty + b"\xa0")
    return empty + unprotected + made[len(empty) + 1 :]


HEADER_BYTES = cbor.encode(HEADERS)


def pairs(*items: tuple[Any, Any]) -> bytes:
    """A map whose keys stand in this order."""
    return head(5, len(items)) + b"".join(enc(key) + enc(value) for key, value in items)


def test_a_signed_corim_of_another_encoder_is_verified_over_its_bytes_as_they_stand():
    turned = pairs((8, META), (33, [b"chain"]), ("note", {1: [True]}), (3, corim_signed.MEDIA_TYPE), (1, -7))
    data = around(turned, pairs((4, b"hint"), (34, [1, b"t" * 32])))
    found = corim.parse_signed_corim(data)
    assert (found.envelope.signer, found.envelope.key_id) == ("Contoso", b"hint")
    assert found.corim.passed_over == ("protected header 33", "protected header note", "unprotected header 34")
    assert verified(data) == VALUE
    for at in range(len(turned)):  # every byte of that header is under the signature
        changed_header = turned[:at] + bytes((turned[at] ^ 1,)) + turned[at + 1 :]
        with pytest.raises(WireError):
            verified(data.replace(turned, changed_header))


@pytest.mark.parametrize(
    ("protected", "unprotected", "named"),
    [
        (pairs((1, -7), (3, corim_signed.MEDIA_TYPE), (8, META), (2, [33]), (33, 1)), b"\xa0", "crit"),
        (pairs(*HEADERS.items()), pairs((2, [33])), "crit"),
        (pairs((3, corim_signed.MEDIA_TYPE), (8, META)), pairs((1, -7)), "alg under the signature"),
        (pairs((3, corim_signed.MEDIA_TYPE), (8, META)), b"\xa0", "ES256"),
        (pairs(*HEADERS.items(), (4, b"k")), pairs((4, b"k")), "each header once"),
        (pairs(*HEADERS.items(), (1, -7)), b"\xa0", "each protected header once"),
        (pairs(*HEADERS.items(), (260, "x")), b"\xa0", "header 260"),
        (pairs((1, -7), (3, corim_signed.MEDIA_TYPE)), pairs((8, META)), "corim-meta"),
        (b"", b"\xa0", "ES256"),
    ],
)
def test_a_header_that_changes_what_is_meant_is_refused(protected: bytes, unprotected: bytes, named: str):
    with pytest.raises(WireError, match=named):
        corim.parse_signed_corim(around(protected, unprotected))


def test_the_narrower_of_two_stated_times_counts():
    meta = enc({0: {0: "Contoso"}, 1: {0: Tag(1, 10), 1: Tag(1, 40)}})
    data = around(pairs((1, -7), (3, corim_signed.MEDIA_TYPE), (8, meta), (15, {1: "c", 4: 30, 5: 20})))
    found = corim.parse_signed_corim(data)
    assert (found.envelope.not_before, found.envelope.not_after) == (20, 30)
    with pytest.raises(WireError, match="counts at"):
        corim.verify_signed_corim(found, KEY.public_key(), now=35)  # corim-meta alone would let it count
    claims = pairs((1, -7), (3, corim_signed.MEDIA_TYPE), (15, {1: "c", 4: 30}))
    only = corim.parse_signed_corim(around(claims)).envelope
    assert (only.signer, only.not_before, only.not_after) == ("c", None, 30)


# -- files of others --------------------------------------------------------------------------------------------------

PASSED_OVER = {
    "version-scheme": changed("values", _0={0: "26.11", 1: 16384}),
    "a digest of algorithm 7": changed("values", _2=[[7, b"d" * 48], ["sha-256", b"d" * 32]]),
    "1 endorsed-triples": changed("triples", _1=[[{}, [{}]]]),
    "2 attest-key-triples": changed("triples", _3=[[{}, []], [{}, []]]),
    "0 conditional-endorsement-triples": changed("triples", _10=[]),
    "language": changed("comid", _0="en"),
    "1 linked-tags": changed("comid", _3=[{0: "x", 1: 0}]),
    "tag-version 3": changed("comid", _1={0: b"t" * 16, 1: 3}),
    "entity-map key -1": changed("comid", _2=[{-1: "12 Road", 0: "Contoso", 2: [0]}]),
    "1 dependent-rims": changed("corim", _2=[{0: Tag(32, "https://example")}]),
    "profile https://example": changed("corim", _3=Tag(32, "https://example")),
    "profile, an OID": changed("corim", _3=Tag(111, b"\x60\x86")),
    "1 entities of the corim-map": changed("corim", _5=[{0: "Contoso", 2: [0]}]),
    "mkey that is an OID": changed("measurement", _0=Tag(111, b"\x60")),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_says_nothing_about_reference_values_is_passed_over_and_named(name: str):
    found = corim.parse_corim(PASSED_OVER[name])
    assert found.passed_over == (name,)
    assert (found.chip, found.os_version, found.components[0].digest) == ("mt3620", "26.11", b"d" * 32)
    assert corim.parse_corim(corim.encode_corim(found)) == found


def test_a_file_says_as_little_as_a_digest():
    parts = document()
    parts["class"] = {0: Tag(600, b"i" * 32)}
    parts["measurement"] = {0: Tag(37, b"m" * 16), 1: {2: [[1, b"d" * 32]]}}
    found = corim.parse_corim(assemble(parts))
    assert found.components == (
        corim_fields.ReferenceClaim(
            component_id=None, image_type=None, layer=None, name=None, image_id=None, security_version=None,
            digest=b"d" * 32, element=UUID(bytes=b"m" * 16),
        ),
    )  # fmt: skip
    assert (found.chip, found.os_version) == (None, None)
    assert "an implementation id" in found.passed_over[0]
    assert corim.parse_corim(corim.encode_corim(found)) == found


def comid(tag_id: str, *triples: Any) -> Tag:
    return Tag(506, enc({4: {0: list(triples)}, 1: {0: tag_id}}))  # keys as other encoders leave them


def measured(digest: bytes, version: str | None = None) -> Any:
    values = {2: [[1, digest * 32]], **({} if version is None else {0: {0: version}})}
    return {0: "part", 1: values}


def test_several_tags_and_measurements_are_one_chain():
    first = comid("one", [{0: {3: 2}}, [measured(b"b"), measured(b"c")]])
    second = comid("two", [{0: {3: 1, 2: "mt3620"}}, [measured(b"a")]])
    found = corim.parse_corim(enc(Tag(501, {1: [Tag(505, b"swid"), first, second], 0: "id"})))
    assert [one.digest[:1] for one in found.components] == [b"a", b"b", b"c"]
    assert (found.tag_id, found.chip) == ("one", "mt3620")
    assert found.passed_over == ("a concise-swid-tag", "the tag-id two of a further concise-mid-tag")


def test_alternatives_are_no_chain():
    either = comid("one", [{0: {3: 0}}, [measured(b"b", "1"), measured(b"c", "2")]])
    with pytest.raises(WireError, match="an alternative"):
        corim.parse_corim(enc(Tag(501, {0: "id", 1: [either]})))
    both = {0: 17, 1: {2: [[1, b"b" * 32]]}}
    with pytest.raises(WireError, match="an alternative"):
        corim.parse_corim(enc(Tag(501, {0: "id", 1: [comid("one", [{0: {3: 0}}, [both, both]])]})))


def test_a_field_that_could_limit_the_others_is_passed_over_only_where_somebody_names_it():
    for name in ("cryptokeys", "authorized-by", "index"):
        found = corim.parse_corim(DOES_NOT_FIT[name], waived=frozenset({name}))
        assert len(found.passed_over) == 1
        assert name in found.passed_over[0]
    own = changed("corim", **{"_-1": "foo"})
    with pytest.raises(WireError, match="key -1, which does not fit"):
        corim.parse_corim(own)
    assert corim.parse_corim(own, waived=frozenset({"key -1"})).passed_over == ("corim-map key -1",)
    for name in ("flags", "min-svn", "int-range", "instance", "key 99", "raw-value"):
        with pytest.raises(WireError, match="field to pass over"):
            corim.parse_corim(DOES_NOT_FIT[name], waived=frozenset({name}))


def test_an_offset_in_a_signed_corim_counts_from_its_first_byte():
    payload = DOES_NOT_FIT["min-svn"]
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
