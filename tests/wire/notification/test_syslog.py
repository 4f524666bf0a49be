# SPDX-License-Identifier: Apache-2.0
"""Syslog messages keep to RFC 5424 whatever texts say, and fit where they go."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st
from tests.wire.notification.events import SURROGATES, TEXT, event, events

from armillary.wire.notification import syslog
from armillary.wire.notification.event import Event

# RFC 5424 §6, word for word; only what Armillary writes: no PROCID, always structured data, always a text with BOM.
_VALUE = r'(?:[^"\\\]\x00-\x1f]|\\["\\\]])*'
_ELEMENT = rf'\[[!#-<>-\\^-~]{{1,32}}(?: [!#-<>-\\^-~]{{1,32}}="{_VALUE}")*\]'
GRAMMAR = re.compile(
    r"<(?P<pri>[0-9]{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) - "
    rf"(?P<msgid>[!-~]{{1,32}}) (?P<data>(?:{_ELEMENT})+) \ufeff(?P<text>[^\x00-\x1f]*)"
)


def parsed(sent: bytes) -> dict[str, str]:
    found = GRAMMAR.fullmatch(sent.decode())
    assert found is not None, sent
    return found.groupdict()


def test_a_message_says_what_happened_to_whom_and_which_number_it_is() -> None:
    sent = syslog.message(
        event("finding.opened", title="Odd", text="a\nb"), host="h.example", facility=16, sequence=7, catalog="Contoso"
    )
    found = parsed(sent)
    assert {name: found[name] for name in ("pri", "time", "host", "app", "msgid", "text")} == {
        "pri": "131", "time": "2027-01-15T08:00:00Z", "host": "h.example", "app": "armillary",
        "msgid": "finding.opened", "text": "Odd a b",
    }  # fmt: skip
    assert '[meta sequenceId="7"]' in found["data"]
    assert 'catalog="Contoso" findingKind="hub-anomaly"' in found["data"]


@settings(max_examples=200)
@given(events, TEXT | SURROGATES, st.integers(0, 23), st.integers(1, 2**63), st.sampled_from([480, 1232, 8192]))
def test_no_text_breaks_the_grammar_or_the_limit(
    one: Event, host: str, facility: int, sequence: int, limit: int
) -> None:
    sent = syslog.message(one, host=host, facility=facility, sequence=sequence, catalog=host, limit=limit)
    found = parsed(sent)
    assert len(sent) <= max(limit, len(sent) - len(found["text"].encode()))
    assert int(found["pri"]) == facility * 8 + syslog.SEVERITY[one.severity]


@pytest.mark.parametrize("evil", ['"] [x y="', "\\", "]", "\n<0>1 forged", "\x1b[2J", "\u202e", "\ud800"])
def test_a_value_stays_a_value(evil: str) -> None:
    sent = syslog.message(event(subject=evil, title=evil, text=evil), host="h", facility=1, sequence=1, catalog=evil)
    assert len(re.findall(_ELEMENT, parsed(sent)["data"])) == 2


def test_frames_tell_their_length_in_bytes() -> None:
    assert syslog.frame("é".encode()) == b"2 \xc3\xa9"
