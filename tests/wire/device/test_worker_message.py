# SPDX-License-Identifier: Apache-2.0
"""The messages between a service and its workers: each survives the trip however it is cut, nothing else gets through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device import worker_message
from armillary.wire.encoding import cbor

numbers = st.integers(0, 2**64 - 1)
devices = st.binary(min_size=64, max_size=64).map(bytes.hex)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)
ports = st.integers(0, 65535)
messages = st.one_of(
    st.builds(worker_message.Start, texts, ports, texts, ports),
    st.builds(worker_message.Changed, numbers, st.lists(devices, max_size=3).map(tuple)),
    st.builds(worker_message.Cut, numbers, devices),
    st.builds(worker_message.Reread, numbers, st.sampled_from(sorted(worker_message.TOPICS))),
    st.builds(worker_message.Stop),
    st.builds(worker_message.Ready),
    st.builds(worker_message.Done, numbers),
    st.builds(worker_message.News),
    st.builds(worker_message.Held, devices),
    st.builds(
        worker_message.Heartbeat,
        numbers,
        numbers,
        numbers,
        st.dictionaries(texts.map(lambda t: t[:10]), numbers, max_size=5),
    ),
    st.builds(worker_message.Failed, texts, texts, texts),
)


@given(st.lists(messages, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_messages_arrive_whole_and_in_order_however_they_are_cut(sent: list[worker_message.Message], cuts: list[int]):
    data, stream, found, turn = b"".join(map(worker_message.encode, sent)), worker_message.Stream(), [], 0
    while data:
        size = cuts[turn % len(cuts)]
        found += stream.feed(data[:size])
        data, turn = data[size:], turn + 1
    assert found == sent
    assert list(map(type, found)) == list(map(type, sent))


@given(st.binary(max_size=300))
def test_any_bytes_are_messages_or_a_wire_error(data: bytes):
    try:
        found = worker_message.Stream().feed(data)
    except WireError:
        return
    assert data.startswith(b"".join(map(worker_message.encode, found)))


@given(messages, st.data())
def test_another_number_of_fields_is_refused(message: worker_message.Message, data: st.DataObject):
    value = cbor.decode(worker_message.encode(message)[4:], what="test", limit=1 << 20)
    changed = [*value, 0] if data.draw(st.booleans()) or len(value) == 1 else value[:-1]
    with pytest.raises(WireError):
        worker_message.parse(cbor.encode(changed))


@pytest.mark.parametrize(
    "value",
    [
        [],
        [0],
        [12],
        ["1"],
        [True],
        {1: 2},
        [2, 0, [b"short"]],
        [2, 0, bytes(64)],
        [2, -1, [bytes(64)]],
        [2, 0, [bytes(64)] * (worker_message.MAX_CHANGED + 1)],
        [3, 0, "ab" * 64],
        [4, 0, "everything"],
        [1, "{}", 65536, "host", 1],
        [10, 0, 0, 0, {1: 1}],
        [10, 0, 0, 0, {str(n): n for n in range(65)}],
        [11, "a", "b", "c" * 4097],
    ],
)
def test_what_is_not_in_the_table_is_refused(value: object):
    with pytest.raises(WireError):
        worker_message.parse(cbor.encode(value))


@pytest.mark.parametrize("length", [0, worker_message.MAX_MESSAGE_BYTES + 1, 2**32 - 1])
def test_a_length_out_of_limits_is_refused_before_anything_is_kept(length: int):
    with pytest.raises(WireError, match="length"):
        worker_message.Stream().feed(length.to_bytes(4, "big"))


def test_what_the_other_side_would_refuse_is_not_sent():
    with pytest.raises(WireError):
        worker_message.encode(worker_message.Reread(1, "everything"))
    with pytest.raises(WireError):
        worker_message.encode(worker_message.Changed(1, ("ab",)))


def test_the_passphrase_is_in_no_repr():
    assert "secret" not in repr(worker_message.Start('{"key_passphrase": "secret words"}', 1, "localhost", 2))


def test_the_table_names_every_message():
    rows = re.findall(r"^(\d+) +([A-Z]\w+) ", worker_message.__doc__ or "", re.MULTILINE)
    assert {int(kind): name for kind, name in rows} == {
        kind: message.__name__ for kind, (message, _) in worker_message._KINDS.items()
    }
