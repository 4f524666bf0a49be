# SPDX-License-Identifier: Apache-2.0
"""Properties of the TUF client: hostile bytes are refused by name, and no history makes a device trust less than it did.

The history machine has an honest repository and an attacker between it and the device. The attacker has no key: it may
serve any file that was ever published, under any name, cut it, or withhold it, and knows which moment suits it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.fixtures.effort import examples
from tests.fixtures.tuf_repository import DAY_S, NOW, Client, TufRepository, moment
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from armillary.errors import RepositoryError
from armillary.update.repository.metadata import read, verify
from armillary.update.repository.steps import first_root

GOOD = TufRepository()
KINDS = {"root": Root, "timestamp": Timestamp, "snapshot": Snapshot, "targets": Targets}
FILES = {
    "root": "metadata/1.root.json",
    "timestamp": "metadata/timestamp.json",
    "snapshot": "metadata/1.snapshot.json",
    "targets": "metadata/1.targets.json",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(300))
@given(
    st.binary(max_size=400) | st.text(max_size=400).map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())
)
def test_bytes_that_are_no_metadata_are_refused_by_name(data: bytes):
    for role, kind in KINDS.items():
        try:
            read(kind, data, role=role)
        except RepositoryError:
            continue
        raise AssertionError("accepted")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in below for place in places(inner, (*path, key)))]


@settings(max_examples=examples(400))
@given(role=st.sampled_from(sorted(KINDS)), place=st.integers(0, 10_000), value=JSON)
def test_a_change_anywhere_is_refused_or_changes_nothing(role: str, place: int, value: Any):
    """One value of a good file is replaced: what still verifies says what the signers said."""
    document = json.loads(GOOD.files[FILES[role]])
    where = places(document)[1:]
    *outer, last = where[place % len(where)]
    inner = document
    for step in outer:
        inner = inner[step]
    inner[last] = value
    data = json.dumps(document).encode()
    try:
        found = first_root(data) if role == "root" else verify(read(KINDS[role], data, role=role), GOOD.root)
    except RepositoryError:
        return
    assert found.signed == Metadata.from_bytes(GOOD.files[FILES[role]]).signed


class Histories(RuleBasedStateMachine):
    """A device, its repository, and an attacker who keeps everything that was ever published."""

    def __init__(self) -> None:
        super().__init__()
        self.repository = TufRepository(expires=NOW + 30 * DAY_S)
        self.client = Client(self.repository)
        self.past: list[bytes] = []
        self.attack: dict[str, int] = {}
        self.now = NOW
        self.newest: dict[str, int] = {}
        self.has_new_keys = False  # of timestamp or snapshot, in a root that the device may not have yet
        self.client.fetcher.twist = self.serve

    def serve(self, name: str, data: bytes | None) -> bytes | None:
        """What the attacker makes of a file."""
        choice = self.attack.get(name.partition(".")[2] if name[0].isdigit() else name)
        if choice is None or not self.past:
            return data
        return None if choice < 0 else self.past[choice % len(self.past)]

    @rule(roles=st.lists(st.sampled_from(sorted(KINDS)), min_size=1))
    def publish(self, roles: list[str]) -> None:
        self.past += [data for data in self.repository.files.values() if data not in self.past]
        self.repository.publish(*roles)

    @rule(content=st.binary(max_size=4))
    def add_an_artifact(self, content: bytes) -> None:
        self.repository.add("kernel", content)
        self.publish(["targets"])

    @rule(days=st.integers(0, 20))
    def time_passes(self, days: int) -> None:
        self.now += days * DAY_S
        until = moment(self.now + 30 * DAY_S)
        for document in (self.repository.root, self.repository.timestamp, self.repository.snapshot):
            document.expires = until
        self.repository.roles["targets"].expires = until
        self.publish(sorted(KINDS))

    @rule(role=st.sampled_from(["timestamp", "snapshot"]), number=st.integers(60, 70))
    def new_keys(self, role: str, number: int) -> None:
        """Versions may start again once the device has this root: it forgets what it compared with (TUF §5.3.11)."""
        if self.repository.signers[role] != [number]:
            self.repository.keys(role, [number])
            self.publish(["root", "targets"])
            self.has_new_keys = True

    @precondition(lambda self: self.past)
    @rule(
        name=st.sampled_from(["root.json", "timestamp.json", "snapshot.json", "targets.json"]),
        choice=st.integers(-1, 50),
    )
    def attacked_refresh(self, name: str, choice: int) -> None:
        self.attack = {name: choice}
        try:
            trusted = self.client.refresh(self.now)
        except RepositoryError:
            return
        finally:
            self.attack = {}
        assert trusted.targets.signed.expires.timestamp() > self.now
        assert trusted.targets.data in self.repository.files.values()

    @rule()
    def honest_refresh(self) -> None:
        """Whatever the attacker did before, it left nothing behind."""
        trusted = self.client.refresh(self.now)
        assert trusted.targets.signed == self.repository.roles["targets"]

    @invariant()
    def nothing_kept_is_older_than_before(self) -> None:
        versions = self.client.versions()
        if self.has_new_keys and versions.get("root", 0) > self.newest.get("root", 0):
            self.newest.pop("timestamp", None)
            self.has_new_keys = False
        for role in {"root", "timestamp", "targets"} & versions.keys():
            assert versions[role] >= self.newest.get(role, 0)
            self.newest[role] = versions[role]


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("rotates", [True, False])
def test_an_older_timestamp_is_taken_only_with_a_root_that_changes_keys(*, rotates: bool) -> None:
    state = Histories()
    state.new_keys("timestamp", 60)
    state.add_an_artifact(b"")
    state.honest_refresh()
    state.nothing_kept_is_older_than_before()
    had = state.newest["timestamp"]
    if rotates:
        state.new_keys("snapshot", 60)
    else:
        state.publish(["root", "targets"])
    taken = []
    for choice in range(len(state.past)):
        state.attacked_refresh("timestamp.json", choice)
        taken.append(state.client.versions().get("timestamp", had))
        state.nothing_kept_is_older_than_before()
    assert (min(taken) < had) == rotates
    assert not state.has_new_keys
    state.honest_refresh()
    assert state.client.versions()["timestamp"] > had
