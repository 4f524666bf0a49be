# SPDX-License-Identifier: Apache-2.0
"""Shared access signatures: a round trip, a vector made by the public client's own code, and everything refused."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.errors import SignatureError, WireError
from armillary.wire.hub import sas_token

KEY, OTHER, NOW = b"k" * 32, b"o" * 32, 1_800_000_000
TOKEN = sas_token.sign_sas_token("hub.example/devices/cable-7", KEY, NOW + 60)


def verify(
    text: str, *, resource: str = "devices/cable-7", now: int = NOW, keys: tuple[bytes, ...] = (OTHER, KEY)
) -> int:
    return sas_token.verify_sas_token(sas_token.parse_sas_token(text), resource=resource, keys=keys, now=now)


def test_an_honest_token_says_when_it_ends() -> None:
    assert verify(TOKEN) == NOW + 60
    assert verify(sas_token.sign_sas_token("devices/cable-7", KEY, NOW + 60)) == NOW + 60


def test_a_token_as_azure_iot_device_makes_it() -> None:
    # azure-iot-device 2.14.0: SasToken(uri, SymmetricKeySigningMechanism(key), ttl), at the expiry 1900000000.
    key = sas_token.encode_key(b"0123456789abcdef0123456789abcdef")
    made = sas_token.sign_sas_token("h.example/devices/d-1", sas_token.decode_key(key), 1_900_000_000)
    assert made == (
        "SharedAccessSignature sr=h.example%2Fdevices%2Fd-1&sig=iyfkEoI3D9CvRpu5APZleWaA0iHY%2F8arVBNUFWDPP%2Bg%3D&se=1900000000"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (TOKEN.replace(f"se={NOW + 60}", f"se={NOW + 61}"), "another signature"),
        (TOKEN.replace("cable-7", "cable-8"), "another signature"),
        (sas_token.sign_sas_token("hub.example/devices/cable-8", KEY, NOW + 60), "cable-8"),
        (sas_token.sign_sas_token("hub.example/devices", KEY, NOW + 60), "devices"),
        (sas_token.sign_sas_token("hub.example/devices/cable-7/modules/m", KEY, NOW + 60), "modules"),
        (sas_token.sign_sas_token("hub.example/x/devices/cable-7", KEY, NOW + 60), "x/devices"),
        (sas_token.sign_sas_token("hub.example/devices/cable-7", b"w" * 32, NOW + 60), "another signature"),
        (sas_token.sign_sas_token("hub.example/devices/cable-7", KEY, NOW), "after"),
        (sas_token.sign_sas_token("hub.example/devices/cable-7", KEY, NOW + sas_token.MAX_LIFETIME_S + 1), "s"),
    ],
)
def test_edited_foreign_expired_and_endless_tokens_are_refused(text: str, what: str) -> None:
    with pytest.raises(SignatureError, match=what):
        verify(text)


def test_no_key_verifies_nothing() -> None:
    with pytest.raises(SignatureError):
        verify(TOKEN, keys=())


@pytest.mark.parametrize(
    "text",
    [
        "", "Bearer x", "SharedAccessSignature", "SharedAccessSignature sr=a", TOKEN + "&se=1", TOKEN + "&x=1",
        TOKEN.replace("se=", "se=-"), TOKEN.replace("se=", "se=0000000000"), "SharedAccessSignature sr=a&sig=YQ==&se=1",
        "SharedAccessSignature sr=a&sig=%%%&se=1", TOKEN + "x" * 4000, TOKEN + "\u00e9",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        verify(text)


@given(st.text(max_size=200))
def test_garbage_is_a_wire_error(text: str) -> None:
    for candidate in (text, "SharedAccessSignature " + text, f"SharedAccessSignature sr={text}&sig={text}&se={text}"):
        with pytest.raises(WireError):
            sas_token.parse_sas_token(candidate)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.binary(min_size=16, max_size=64))
def test_every_resource_survives(name: str, key: bytes) -> None:
    token = sas_token.parse_sas_token(sas_token.sign_sas_token(f"h/{name}", key, NOW + 1, "p q"))
    assert (token.resource, token.policy) == (f"h/{name}", "p q")
    assert sas_token.verify_sas_token(token, resource=name, keys=[key], now=NOW) == NOW + 1


def test_no_single_changed_character_passes() -> None:
    for position, was in enumerate(TOKEN):
        for now in "A1%&=":
            changed = TOKEN[:position] + now + TOKEN[position + 1 :]
            if now == was:
                continue
            with pytest.raises(WireError):
                verify(changed)


def test_keys() -> None:
    assert sas_token.decode_key(sas_token.encode_key(KEY)) == KEY
    for wrong in ("", "x", sas_token.encode_key(b"short"), sas_token.encode_key(b"l" * 65), "é"):
        with pytest.raises(WireError):
            sas_token.decode_key(wrong)
    # Microsoft's documented example of a derived key has this form: HMAC-SHA256 over the registration id.
    assert sas_token.derive_device_key(KEY, "a") != sas_token.derive_device_key(KEY, "b")
