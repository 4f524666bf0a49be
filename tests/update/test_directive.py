# SPDX-License-Identifier: Apache-2.0
"""Whether a device takes a directive: each check refuses its attack, and without it the attack gets through."""

from __future__ import annotations

import dataclasses

import pytest
from tests.wire.checkin_samples import OFFER

from armillary.errors import DirectiveError, SignatureError
from armillary.identity.dice import alias_key
from armillary.update.directive import accepted
from armillary.wire.update.directive import Directive, encode_directive, parse_directive

DIRECTOR, OTHER = alias_key(b"d" * 32), alias_key(b"o" * 32)
KEY_ID, OTHER_ID = "0f" * 32, "1e" * 32
KEYS = {KEY_ID: DIRECTOR.public_key()}
NOW = 1_790_000_100
DIRECTIVE = Directive(
    version=3, device_id="ab" * 64, hardware="mt3620", offer=OFFER, issued_at=NOW - 100, expires_at=NOW + 100
)


def take(
    directive: Directive = DIRECTIVE,
    *,
    signer=DIRECTOR,
    key_id: str = KEY_ID,
    keys=None,
    device_id: str = "ab" * 64,
    hardware: str = "mt3620",
    last_version: int = 2,
    now: int = NOW,
) -> Directive:
    return accepted(
        parse_directive(encode_directive(directive, signer, key_id)),
        KEYS if keys is None else keys,
        device_id=device_id,
        hardware=hardware,
        last_version=last_version,
        now=now,
    )


def test_a_directive_for_this_device_is_taken_and_may_come_again():
    assert take() == DIRECTIVE
    assert take(last_version=3) == DIRECTIVE


@pytest.mark.parametrize("key_id", [KEY_ID, OTHER_ID])
def test_a_key_that_is_not_the_directors_says_nothing(key_id: str):
    with pytest.raises(SignatureError):
        take(signer=OTHER, key_id=key_id)
    assert take(signer=OTHER, key_id=OTHER_ID, keys={OTHER_ID: OTHER.public_key()}) == DIRECTIVE  # once it is


@pytest.mark.parametrize(
    ("attack", "honest"),
    [
        ({"device_id": "cd" * 64}, {"device_id": "ab" * 64}),
        ({"hardware": "imx8mp"}, {"hardware": "mt3620"}),
        ({"last_version": 4}, {"last_version": 3}),
        ({"now": NOW + 100}, {"now": NOW + 99}),
    ],
    ids=["another device's", "another chip's", "an older one", "one that is over"],
)
def test_what_is_refused_and_where_it_begins(attack: dict, honest: dict):
    with pytest.raises(DirectiveError):
        take(**attack)
    assert take(**honest) == DIRECTIVE


def test_the_error_says_what_was_expected():
    with pytest.raises(DirectiveError, match="expected chip imx8mp, got chip mt3620"):
        take(hardware="imx8mp")
    with pytest.raises(SignatureError, match="a key of the role director"):
        take(dataclasses.replace(DIRECTIVE, version=9), keys={})
