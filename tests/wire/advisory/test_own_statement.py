# SPDX-License-Identifier: Apache-2.0
"""Statements of operators come back as they were signed, and with any byte changed they do not come back."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings, strategies as st

from armillary.errors import SignatureError, WireError
from armillary.wire.advisory import own_statement
from armillary.wire.advisory.own_statement import JUSTIFICATIONS, OwnStatement, seal, subject_name, verify
from armillary.wire.advisory.vex import Status
from armillary.wire.encoding import cbor, cose

KEY, OTHER = ec.derive_private_key(11, ec.SECP256R1()), ec.derive_private_key(12, ec.SECP256R1())
LINE = st.text(st.characters(categories=("L", "N", "P", "Zs"), exclude_characters="\u00a0"), min_size=1, max_size=40)


@st.composite
def statements(draw: st.DrawFn) -> OwnStatement:
    status, subject = draw(st.sampled_from(list(Status))), draw(st.sampled_from(own_statement.SUBJECTS))
    return OwnStatement(
        statement_id=uuid4(),
        vulnerability=draw(LINE),
        subject=subject,
        subject_id=uuid4(),
        catalog_id=None if subject == "release" else uuid4(),
        component=draw(st.text(max_size=40)),
        status=status,
        justification=draw(st.sampled_from(JUSTIFICATIONS)) if status is Status.NOT_AFFECTED else "",
        reason=draw(st.text(max_size=80)),
        author=draw(LINE.filter(str.isprintable)),
        stated_at=draw(st.integers(1, (1 << 40) - 1)),
    )


@settings(deadline=None, max_examples=50)
@given(statements(), st.data())
def test_a_statement_comes_back_whole_or_not_at_all(made: OwnStatement, data: st.DataObject) -> None:
    signed = seal(made, KEY)
    assert verify(signed, KEY.public_key()) == made
    place, bit = data.draw(st.integers(0, len(signed) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(signed)
    changed[place] ^= 1 << bit
    with pytest.raises((WireError, SignatureError)):
        verify(bytes(changed), KEY.public_key())
    with pytest.raises((WireError, SignatureError)):
        verify(signed[:place], KEY.public_key())
    with pytest.raises(SignatureError):
        verify(signed, OTHER.public_key())


def payload(**changes: object) -> bytes:
    values: dict[int, object] = {
        1: 1, 2: bytes(16), 3: "CVE-1", 4: "image", 5: bytes(16), 6: bytes(16), 7: "", 8: "affected", 9: "", 10: "",
        11: "Anna", 12: 1,
    }  # fmt: skip
    return cbor.encode({**values, **{int(name[1:]): value for name, value in changes.items()}})


def signed(content: bytes, aad: bytes = own_statement.PURPOSE) -> bytes:
    return cose.encode_sign1(content, KEY, external_aad=aad)


@pytest.mark.parametrize(
    "changes",
    [
        {"_1": 2}, {"_2": b"x"}, {"_3": ""}, {"_3": "x" * 129}, {"_4": "device"}, {"_4": "release"}, {"_5": bytes(15)},
        {"_6": b""}, {"_6": bytes(4)}, {"_8": "clean"}, {"_8": "not_affected"}, {"_9": "component_not_present"},
        {"_11": ""}, {"_11": "a\nb"}, {"_12": 0}, {"_12": True}, {"_13": 1}, {"_10": "x" * 2001},
    ],
)  # fmt: skip
def test_a_signature_makes_no_sense_of_nonsense(changes: dict[str, object]) -> None:
    assert verify(signed(payload()), KEY.public_key()).author == "Anna", "the control"
    with pytest.raises(WireError):
        verify(signed(payload(**changes)), KEY.public_key())


def test_a_signature_of_something_else_is_none_of_a_statement() -> None:
    with pytest.raises(SignatureError):
        verify(signed(payload(), b"armillary feed bundle"), KEY.public_key())


def test_the_same_image_of_two_catalogs_has_two_names() -> None:
    one, other, image = UUID(int=1), UUID(int=2), UUID(int=3)
    assert subject_name("image", image, one) != subject_name("image", image, other)
