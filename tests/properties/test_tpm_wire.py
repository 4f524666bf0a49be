# SPDX-License-Identifier: Apache-2.0
"""Quotes of a TPM verify for what they were made for; an event log gives the values that a TPM would have."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples
from tests.wire.tpm_samples import new_key, quote, tcg_event, tcg_header

from armillary.wire.attestation import tcg_event_log as tcg, tpm_attestation as tpm

KEY = new_key()
PCRS = st.lists(st.integers(0, 23), min_size=1, max_size=24, unique=True).map(sorted)


@settings(max_examples=examples(60))
@given(nonce=st.binary(max_size=66), digest=st.binary(min_size=32, max_size=32), pcrs=PCRS)
def test_every_quote_verifies_for_what_it_was_made_for(nonce: bytes, digest: bytes, pcrs: list[int]):
    unverified = tpm.parse_attestation(quote(KEY, nonce, digest, *pcrs))
    found = tpm.verify_quote(unverified, KEY.public_key(), nonce=nonce, pcrs=pcrs, pcr_digest=digest)
    assert (found.extra_data, found.pcrs, found.pcr_digest) == (nonce, tuple(pcrs), digest)


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 23), st.integers(0, 0xFFFFFFFF), st.binary(min_size=32, max_size=32), st.binary(max_size=40)
    ),
    max_size=12,
)


@settings(max_examples=examples(60))
@given(events=EVENTS, vendor=st.binary(max_size=20))
def test_a_log_replays_as_a_tpm_extends(events: list[tuple[int, int, bytes, bytes]], vendor: bytes):
    events = [event for event in events if not event[3].startswith(b"StartupLocality\0")]
    log = tcg.parse_log(tcg_header(vendor=vendor) + b"".join(tcg_event(*event) for event in events))
    assert [(e.pcr, e.event_type, e.digest, e.data) for e in log.events] == events
    values = {pcr: (b"\xff" if 17 <= pcr <= 22 else b"\0") * 32 for pcr in range(24)}
    for pcr, kind, digest, _ in events:
        if kind != tcg.EV_NO_ACTION:
            values[pcr] = sha256(values[pcr] + digest).digest()
    assert tcg.replay(log) == values
    measured = tcg.verify_log(log, values)
    assert [(e.pcr, e.digest) for e in measured] == [(p, d) for p, k, d, _ in events if k != tcg.EV_NO_ACTION]
