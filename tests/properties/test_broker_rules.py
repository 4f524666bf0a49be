# SPDX-License-Identifier: Apache-2.0
"""The broker's pure rules: the filter tree agrees with the definition, a session's messages go where the table says."""

from __future__ import annotations

from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.hub.broker.session import DELIVERIES, DeliveryState, Message, Move, OutgoingMessage, Session
from armillary.hub.broker.topics import FilterTree, matches, split_share
from armillary.wire.mqtt.codec import check_topic_filter

names = st.sampled_from(["a", "b", "", "$x", "é"])
topics = st.lists(names, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(names | st.just("+"), min_size=0, max_size=4))
    if draw(st.booleans()) or not levels:
        levels.append("#")
    return check_topic_filter("/".join(levels)) if "/".join(levels) else "#"


@given(st.lists(st.tuples(filters(), st.booleans()), max_size=12), topics)
def test_the_tree_finds_what_the_definition_says(listed: list[tuple[str, bool]], topic: str) -> None:
    tree: FilterTree[int] = FilterTree()
    for number, (each, _) in enumerate(listed):
        tree.add(each, number)
    for number, (each, removed) in enumerate(listed):
        if removed:
            tree.remove(each, number)
    found = sorted(number for _, members in tree.find(topic) for number in members)
    assert found == [number for number, (each, removed) in enumerate(listed) if not removed and matches(each, topic)]
    for number, (each, removed) in enumerate(listed):
        if not removed:
            tree.remove(each, number)
    assert tree.is_empty  # nothing is kept of what is gone


@given(filters(), filters(), topics)
def test_shares_are_kept_apart(first: str, second: str, topic: str) -> None:
    tree: FilterTree[str] = FilterTree()
    tree.add(first, "alone")
    tree.add(f"$share/g/{first}", "member")
    tree.add(f"$share/h/{second}", "other")
    found = {(share, member) for share, members in tree.find(topic) for member in members}
    expected = {("", "alone"), ("g", "member")} if matches(first, topic) else set()
    assert found == expected | ({("h", "other")} if matches(second, topic) else set())


@given(st.text(st.sampled_from("a/+#$share"), max_size=16))
def test_a_share_is_two_names_or_refused(text: str) -> None:
    try:
        share, plain = split_share(text)
    except WireError:
        assert text.startswith("$share/")
        return
    assert (f"$share/{share}/{plain}" if share else plain) == text
    assert not set(share) & set("+#/")


def test_literal_matches() -> None:
    """The examples of the specification (§4.7.1)."""
    for topic_filter, topic, expected in [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("#", "sport/tennis", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/uptime", False),
        ("+/uptime", "$SYS/uptime", False),
        ("$SYS/#", "$SYS/uptime", True),
    ]:
        assert matches(topic_filter, topic) is expected, (topic_filter, topic)


def message(number: int) -> Message:
    return Message(topic="t", payload=b"%d" % number, qos=2, retain=False)


moves = st.tuples(st.integers(0, 5), st.sampled_from(Move))


@given(st.lists(st.integers(1, 2), min_size=1, max_size=6), st.lists(moves, max_size=40))
def test_a_session_forgets_exactly_what_is_over(qualities: list[int], steps: list[tuple[int, Move]]) -> None:
    session = Session(("", "", "c"))
    items: list[OutgoingMessage] = []
    for number, qos in enumerate(qualities):
        item = session.enqueue(message(number), qos, retain=False, identifiers=())
        assert item is not None
        items.append(item)
    assert len({item.packet_id for item in items}) == len(items)
    for place, move in steps:
        item = items[place % len(items)]
        before = item.state
        try:
            if move in (Move.SENT_QOS_1, Move.SENT_QOS_2):
                item.move(move)
            else:
                session.acknowledged(item.packet_id, move)
        except WireError:
            assert move not in DELIVERIES[before]
            assert item.state is before
        assert (item.packet_id in session.outgoing) == (item.state is not DeliveryState.DONE)
    assert list(session.outgoing.values()) == [item for item in items if item.state is not DeliveryState.DONE]
    assert session.queued_bytes == sum(item.message.size for item in session.outgoing.values())


def test_every_state_has_a_row() -> None:
    assert set(DELIVERIES) == set(DeliveryState)
    reached = {state for row in DELIVERIES.values() for state in row.values()}
    assert reached == set(DeliveryState) - {DeliveryState.QUEUED}


def test_packet_identifiers_wrap_and_pass_over_those_in_use() -> None:
    session = Session(("", "", "c"))
    stays = session.enqueue(message(0), 1, retain=False, identifiers=())
    assert stays is not None
    session._last_id = 65534
    given_: list[int] = []
    for number in range(3):
        item = session.enqueue(message(number), 1, retain=False, identifiers=())
        assert item is not None
        given_.append(item.packet_id)
    assert given_ == [65535, 2, 3]
