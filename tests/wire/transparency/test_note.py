# SPDX-License-Identifier: Apache-2.0
"""Signed notes and checkpoints: what others have signed is verified, what is written is read, nothing else is."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import InconsistentLogError, SignatureError, WireError
from armillary.wire.transparency import checkpoint as checkpoints, note as notes
from armillary.wire.transparency.checkpoint import Checkpoint
from armillary.wire.transparency.merkle import EMPTY_ROOT, TreeHead

# The example of Go's package golang.org/x/mod/sumdb/note, which everybody tests with.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

LOG = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
LOG_KEY = notes.verifier_key("log.example/audit", notes.ED25519, LOG)
WITNESS_KEY = notes.verifier_key("witness.example/w1", notes.COSIGNATURE, WITNESS)
HEAD = TreeHead(3, bytes(range(32)))
TEXT = Checkpoint(LOG_KEY.name, HEAD).text


def signed(text: str = TEXT, *, by: Ed25519PrivateKey = LOG, cosigned_at: int | None = None) -> bytes:
    lines = notes.sign(text, LOG_KEY.name, by).line
    if cosigned_at is not None:
        lines += notes.cosign(text, WITNESS_KEY.name, WITNESS, cosigned_at).line
    return f"{text}\n{lines}".encode()


def test_a_note_of_go_is_verified_and_written_again_the_same() -> None:
    key, note = notes.parse_verifier_key(GO_KEY), notes.parse(GO_NOTE)
    assert key.text == GO_KEY
    assert note.document.encode() == GO_NOTE
    assert notes.verify(note, [key]).by == (key,)
    with pytest.raises(SignatureError):
        notes.verify(notes.parse(GO_NOTE.replace(b"answer", b"Answer")), [key])


def test_a_checkpoint_is_verified_with_its_cosignature_and_the_time_of_it() -> None:
    found = checkpoints.verify(signed(cosigned_at=1_790_000_000), LOG_KEY, [WITNESS_KEY])
    assert found.checkpoint == Checkpoint(LOG_KEY.name, HEAD)
    assert found.witnesses == ((WITNESS_KEY, 1_790_000_000),)
    assert checkpoints.verify(signed(cosigned_at=5), LOG_KEY).witnesses == ()  # an unknown one does not count


def test_what_a_cosignature_signs_is_the_message_of_the_specification() -> None:
    line = notes.cosign(TEXT, WITNESS_KEY.name, WITNESS, 1_679_315_147)
    assert line.signature[:8] == (1_679_315_147).to_bytes(8, "big")
    WITNESS.public_key().verify(line.signature[8:], b"cosignature/v1\ntime 1679315147\n" + TEXT.encode())
    assert WITNESS_KEY.text.startswith(f"witness.example/w1+{line.key_id.hex()}+")


@given(st.integers(0, len(signed(cosigned_at=7)) - 1), st.integers(1, 255))
@settings(max_examples=examples(800))
def test_a_checkpoint_with_one_changed_byte_is_refused_or_loses_its_witness(place: int, bits: int) -> None:
    whole = bytearray(signed(cosigned_at=7))
    whole[place] ^= bits
    try:
        found = checkpoints.verify(bytes(whole), LOG_KEY, [WITNESS_KEY])
    except WireError:
        return
    # The witness's name or key id was hit: somebody else's signature, which does not count.
    assert found.witnesses == ()
    assert found.checkpoint == Checkpoint(LOG_KEY.name, HEAD)


def test_another_key_under_the_same_name_is_another_signer() -> None:
    with pytest.raises(SignatureError):
        checkpoints.verify(signed(by=WITNESS), LOG_KEY)
    stranger = notes.VerifierKey(LOG_KEY.name, notes.ED25519, WITNESS.public_key().public_bytes_raw())
    assert checkpoints.verify(signed(by=WITNESS), stranger)  # the control: who trusts that key


def test_a_witness_alone_makes_no_checkpoint() -> None:
    alone = f"{TEXT}\n{notes.cosign(TEXT, WITNESS_KEY.name, WITNESS, 7).line}".encode()
    with pytest.raises(SignatureError):
        checkpoints.verify(alone, LOG_KEY, [WITNESS_KEY])


def test_a_bad_signature_of_a_known_key_spoils_the_note() -> None:
    spoilt = signed() + notes.cosign("another\n", WITNESS_KEY.name, WITNESS, 7).line.encode()
    with pytest.raises(SignatureError):
        checkpoints.verify(spoilt, LOG_KEY, [WITNESS_KEY])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\n\n",
        b"text\n",
        "text\n\n— name AAAAAAAA".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— na+me AAAAAAAA\n".encode(),
        b"text\n\n- name AAAAAAAA\n",
        "text\n\n— name AAAAAAB=\n".encode(),  # base64 in another spelling
        "te\x07xt\n\n— name AAAAAAAA\n".encode(),
        b"text\xff\n\n" + "— name AAAAAAAA\n".encode(),
        b"x" * (notes.MAX_NOTE_BYTES + 1),
        b"text\n\n" + "— name AAAAAAAA\n".encode() * (notes.MAX_SIGNATURES + 1),
    ],
)
def test_what_is_no_note_is_refused(document: bytes) -> None:
    with pytest.raises(WireError):
        notes.parse(document)


@pytest.mark.parametrize("lines", [
    "o\n3\n", "o\n03\nAAAA\n", "o\n-1\nAAAA\n", "o\n3\nAAAA\n", f"o\n3\n{'A' * 43}=\nmore\n", f"\n3\n{'A' * 43}=\n",
    f"o\n{1 << 63}\n{'A' * 43}=\n", f"o\n٣\n{'A' * 43}=\n",
])  # fmt: skip
def test_what_is_no_checkpoint_is_refused(lines: str) -> None:
    with pytest.raises(WireError):
        checkpoints.parse(signed(lines))


@pytest.mark.parametrize("text", [
    "", "name", "name+1234", f"name+00000000+{LOG_KEY.text.split('+')[2]}", GO_KEY.replace("+AR", "+BR"), "a b+c74f20a3+AR",
    f"x+{'0' * 8}+{base64.b64encode(bytes(2000)).decode()}",
])  # fmt: skip
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        notes.parse_verifier_key(text)


def test_keys_may_have_plus_signs_in_their_base64() -> None:
    for each in range(64):
        key = notes.verifier_key("n", notes.ED25519, Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32))
        assert notes.parse_verifier_key(key.text) == key


def test_a_checkpoint_that_does_not_continue_what_was_seen_is_not_followed() -> None:
    found = Checkpoint("o", HEAD)
    assert checkpoints.followed(None, found, ()) == found
    assert checkpoints.followed(HEAD, found, ()) == found
    assert checkpoints.followed(TreeHead(0, EMPTY_ROOT), found, ()) == found
    for seen in (TreeHead(3, bytes(32)), TreeHead(4, HEAD.root), TreeHead(2, bytes(32))):
        with pytest.raises(InconsistentLogError):
            checkpoints.followed(seen, found, ())
