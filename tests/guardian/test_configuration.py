# SPDX-License-Identifier: Apache-2.0
"""``guardian.json``: what is read, and that nothing but that is."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.guardian import configuration as module
from armillary.guardian.configuration import configuration_document, read_configuration
from armillary.wire.equipment.faults import ConfigurationError

KEY = "-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n"
WHOLE: dict[str, Any] = {
    "format": 1,
    "equipment": [
        {"name": "espresso1", "profile": "profiles/coffee.dsse", "link": {"host": "10.9.0.2", "port": 1502}},
        {"name": "espresso2", "profile": "profiles/coffee.dsse"},
    ],
    "profile_keys": [KEY],
    "queue": {"bytes": 1 << 20, "age_s": 3600},
    "uplink": {"backfill_bytes_per_s": 5000},
}


def read(document: object) -> module.GuardianConfiguration:
    return read_configuration(json.dumps(document).encode())


def test_a_whole_document_is_read_and_written_back():
    found = read(WHOLE)
    assert [(each.name, each.link) for each in found.equipment] == [
        ("espresso1", {"host": "10.9.0.2", "port": 1502}),
        ("espresso2", {}),
    ]
    assert (found.queue_bytes, found.queue_age_s, found.backfill_bytes_per_s) == (1 << 20, 3600, 5000)
    assert read(configuration_document(found)) == found


def test_what_is_left_out_has_a_default():
    found = read({name: WHOLE[name] for name in ("format", "equipment", "profile_keys")})
    assert found.queue_bytes == module.QUEUE_BYTES_DEFAULT
    assert found.queue_age_s == module.QUEUE_AGE_S_DEFAULT
    assert found.backfill_bytes_per_s == module.pacing.BACKFILL_BYTES_PER_S


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("format",), 2, "format"),
        (("format",), True, "format"),
        (("equipment",), [], "equipment"),
        (("equipment",), [WHOLE["equipment"][0]] * 51, "equipment"),
        (("equipment", 0, "name"), "../x", "equipment[0].name"),
        (("equipment", 0, "name"), "ESPRESSO2", "names that differ"),
        (("equipment", 1, "profile"), "profiles/../../etc/passwd", "equipment[1].profile"),
        (("equipment", 1, "profil"), "x", "equipment[1]"),
        (("equipment", 0, "link"), {"host": ["10.9.0.2"]}, "equipment[0].link.host"),
        (("equipment", 0, "link"), {str(number): 1 for number in range(33)}, "equipment[0].link"),
        (("profile_keys",), [], "profile_keys"),
        (("profile_keys", 0), "-----BEGIN PRIVATE KEY-----", "profile_keys[0]"),
        (("queue", "bytes"), 1, "queue.bytes"),
        (("queue", "bytes"), True, "queue.bytes"),
        (("queue", "age_s"), 10**9, "queue.age_s"),
        (("uplink", "backfill_bytes_per_s"), 0.5, "uplink.backfill_bytes_per_s"),
        (("uplink", "bytes"), 1, "uplink"),
        (("queues",), {}, "queues"),
    ],
)
def test_a_wrong_member_is_named(path: tuple[str | int, ...], value: object, named: str):
    document: Any = copy.deepcopy(WHOLE)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ConfigurationError) as refused:
        read(document)
    assert named in refused.value.message


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"\xff", b"[" * 100_000, b'{"format": 1, "format": 1}', b" " * (module.DOCUMENT_LIMIT_BYTES + 1)],
    ids=("empty", "list", "no-text", "deep", "doubled", "large"),
)
def test_what_is_no_such_document_is_one_clear_error(data: bytes):
    with pytest.raises(ConfigurationError):
        read_configuration(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WHOLE, "name"]), inner, max_size=6)
        ),
        max_leaves=12,
    )
)
def test_no_document_raises_anything_else(document: object):
    with contextlib.suppress(ConfigurationError):
        read(document)
