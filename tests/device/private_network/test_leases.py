# SPDX-License-Identifier: Apache-2.0
"""Who gets which address: no two at once, whatever clients say, and a table that no flood makes longer."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given, settings, strategies as st

from armillary.device.private_network.leases import DECLINED_S, OFFER_S, Leases, destination
from armillary.device.private_network.plan import DhcpPlan
from armillary.wire.device.dhcp import BROADCAST, NO_ADDRESS, ClientMessage, Kind, ServerMessage

SERVER, FIRST = IPv4Address("192.168.100.1"), IPv4Address("192.168.100.10")
OTHER_SERVER = IPv4Address("192.168.100.2")
NETWORK = IPv4Network("192.168.100.0/24")


def table(count: int = 3) -> Leases:
    return Leases(DhcpPlan(server=SERVER, first=FIRST, count=count, network=NETWORK, lease_s=3600))


def message(kind: Kind, number: int = 1, **changed: Any) -> ClientMessage:
    given: dict[str, Any] = {"transaction": 7, "flags": 0, "client_address": NO_ADDRESS}
    return ClientMessage(kind=kind, hardware=bytes([2, 0, 0, 0, 0, number]), **(given | changed))


def lease(leases: Leases, number: int = 1, now: float = 0.0) -> IPv4Address:
    """A client that asks and takes what it is offered."""
    offer = leases.answer(message(Kind.DISCOVER, number), now)
    assert offer is not None
    assert offer.kind == Kind.OFFER
    taken = leases.answer(message(Kind.REQUEST, number, requested=offer.address, server=SERVER), now)
    assert taken is not None
    assert (taken.kind, taken.address) == (Kind.ACK, offer.address)
    return taken.address


def kind_of(answer: ServerMessage | None) -> Kind | None:
    return None if answer is None else answer.kind


def test_each_client_has_an_address_and_keeps_it() -> None:
    leases = table()
    found = [lease(leases, number) for number in (1, 2, 3)]
    assert len(set(found)) == 3
    assert all(leases.plan.has(each) for each in found)
    assert [lease(leases, number, now=10.0) for number in (1, 2, 3)] == found
    assert leases.answer(message(Kind.DISCOVER, 4), 10.0) is None
    assert lease(leases, 4, now=4000.0) in found, "after their time"


def test_a_device_that_forgot_finds_its_clients_where_they_are() -> None:
    before = table(64)
    found = {number: lease(before, number) for number in range(1, 40)}
    after = table(64)
    for number, address in found.items():
        renewal = message(Kind.REQUEST, number, client_address=address)
        assert kind_of(after.answer(renewal, 0.0)) == Kind.ACK
    assert {number: lease(after, number) for number in found} == found
    alone = table(64)
    assert lease(alone, 7) == lease(table(64), 7), "by its key, also where it asks for none"


def test_who_asks_for_anothers_address_is_refused() -> None:
    leases = table()
    own = lease(leases, 1)
    for wrong in (own, IPv4Address("192.168.100.200"), IPv4Address("8.8.8.8")):
        answer = leases.answer(message(Kind.REQUEST, 2, requested=wrong), 0.0)
        assert kind_of(answer) == Kind.NAK
        assert destination(message(Kind.REQUEST, 2, client_address=wrong), answer or _none()) == BROADCAST
    assert list(leases.bound(0.0)) == [own]
    assert leases.answer(message(Kind.REQUEST, 1, requested=own, server=OTHER_SERVER), 0.0) is None


def test_an_answer_goes_to_nobody_but_a_client_of_the_range() -> None:
    """What a sender claims as its address is written to only once it is its own."""
    leases = table()
    own = lease(leases)
    tricky = message(Kind.REQUEST, 1, client_address=IPv4Address("8.8.8.8"), requested=own)
    assert kind_of(leases.answer(tricky, 0.0)) == Kind.NAK
    renewal = message(Kind.REQUEST, 1, client_address=own)
    answer = leases.answer(renewal, 0.0)
    assert kind_of(answer) == Kind.ACK
    assert destination(renewal, answer or _none()) == own
    for address in (IPv4Address("8.8.8.8"), SERVER, NO_ADDRESS):
        assert leases.answer(message(Kind.INFORM, 5, client_address=address), 0.0) is None
    informed = leases.answer(message(Kind.INFORM, 5, client_address=IPv4Address("192.168.100.77")), 0.0)
    assert (kind_of(informed), informed and informed.address) == (Kind.ACK, NO_ADDRESS)


def test_what_is_given_back_or_declined() -> None:
    leases = table(1)
    own = lease(leases, 1)
    leases.answer(message(Kind.RELEASE, 2, client_address=own, server=SERVER), 0.0)
    assert own in leases.bound(0.0), "another's is not given back"
    leases.answer(message(Kind.RELEASE, 1, client_address=own, server=SERVER), 0.0)
    assert lease(leases, 2) == own
    leases.answer(message(Kind.DECLINE, 3, requested=own, server=SERVER), 0.0)
    assert own in leases.bound(0.0), "another's is not declined"
    leases.answer(message(Kind.DECLINE, 2, requested=own, server=SERVER), 0.0)
    assert leases.answer(message(Kind.DISCOVER, 2), 1.0) is None
    assert kind_of(leases.answer(message(Kind.REQUEST, 2, requested=own), 1.0)) == Kind.NAK
    assert lease(leases, 2, now=DECLINED_S + 1.0) == own


def test_questions_alone_use_up_no_addresses() -> None:
    leases = table(2)
    kept = lease(leases, 1)
    for number in range(2, 200):
        offer = leases.answer(message(Kind.DISCOVER, number), 1.0)
        assert kind_of(offer) == Kind.OFFER
        assert offer is not None
        assert offer.address != kept
    assert len(leases._rows) == 2
    assert lease(leases, 250, now=1.0) != kept
    assert lease(leases, 1, now=1.0) == kept


def test_another_range_keeps_those_that_are_in_it() -> None:
    leases = table(3)
    found = [lease(leases, number) for number in (1, 2, 3)]
    leases.replan(DhcpPlan(server=SERVER, first=FIRST, count=1, network=NETWORK, lease_s=3600))
    assert list(leases.bound(0.0)) == [address for address in found if address == FIRST]


CLIENTS = st.integers(1, 6)
ADDRESSES = st.sampled_from([NO_ADDRESS, *(FIRST + number for number in range(-1, 4)), IPv4Address("8.8.8.8")])
MESSAGES = st.builds(
    message,
    st.sampled_from([Kind.DISCOVER, Kind.REQUEST, Kind.DECLINE, Kind.RELEASE, Kind.INFORM]),
    CLIENTS,
    client_address=ADDRESSES,
    requested=st.none() | ADDRESSES,
    server=st.none() | st.sampled_from([SERVER, OTHER_SERVER]),
)
STEPS = st.lists(st.tuples(MESSAGES, st.sampled_from([0.0, 1.0, OFFER_S + 1.0, DECLINED_S + 1.0, 4000.0])), max_size=60)


@given(STEPS)
@settings(max_examples=300)
def test_no_address_has_two_clients_whatever_they_say(steps: list[tuple[ClientMessage, float]]) -> None:
    """By what the clients were told: who was last given an address has it until its time, or until it gives it back."""
    leases, now, told = table(3), 0.0, dict[IPv4Address, tuple[bytes, float]]()
    for asked, later in steps:
        now += later
        answer = leases.answer(asked, now)
        if asked.kind in (Kind.RELEASE, Kind.DECLINE):
            told = {address: (key, until) for address, (key, until) in told.items() if key != asked.key}
        if answer is None or answer.kind not in (Kind.OFFER, Kind.ACK) or asked.kind == Kind.INFORM:
            continue
        assert leases.plan.has(answer.address)
        key, until = told.get(answer.address, (asked.key, 0.0))
        assert key == asked.key or until <= now, f"{answer.address} is another's"
        if answer.kind == Kind.ACK:
            told = {address: each for address, each in told.items() if each[0] != asked.key}
            told[answer.address] = (asked.key, now + 3600)
        assert len(leases._rows) <= 3


def _none() -> ServerMessage:
    raise AssertionError("there is no answer")
