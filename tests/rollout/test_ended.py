# SPDX-License-Identifier: Apache-2.0
"""What roll-outs of OS releases leave behind for a catalog."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given, strategies as st

from armillary.rollout.ended import Left, PastRollout, catalogs_apart, left_for
from armillary.rollout.state import STATES

RELEASE, OTHER = UUID(int=1), UUID(int=2)
HERE, THERE = UUID(int=10), UUID(int=20)
KEY = (RELEASE, "Retail")


def past(
    state: str, catalog: UUID | None = None, *, release: UUID = RELEASE, feed: str = "Retail", source: str | None = None
) -> PastRollout:
    return PastRollout(
        rollout_id=uuid4(), release_id=release, feed=feed, catalog_id=catalog, state=state, from_feed=source
    )


def left(*rollouts: PastRollout, catalog: UUID | None = HERE) -> tuple[bool, bool]:
    """Whether a catalog is given the release, and whether it was taken from it."""
    found = left_for(catalog, rollouts)
    return KEY in found.given, KEY in found.taken


@pytest.mark.parametrize("state", STATES)
def test_each_state_of_one_for_a_catalog_alone(state: str) -> None:
    own = past(state, HERE)
    assert left(own) == (state == "completed", state in ("rolling-back", "rolled-back"))
    assert left(own, catalog=THERE) == left(own, catalog=None) == (False, False)


@pytest.mark.parametrize("state", STATES)
def test_each_state_of_one_for_all(state: str) -> None:
    """Completed its release is in the feed, which says so to everybody."""
    for catalog in (HERE, THERE, None):
        assert left(past(state), catalog=catalog) == (False, state in ("rolling-back", "rolled-back"))


def test_the_last_one_that_decides_something_counts() -> None:
    back, again = past("rolled-back", HERE), past("running", HERE)
    assert left(back, again) == (False, False)
    assert left(back, past("cancelled", HERE)) == left(back, past("proposed", HERE)) == (False, True)
    assert left(back, past("completed", HERE)) == (True, False)
    assert left(past("rolled-back"), past("completed", HERE)) == (True, False)
    assert left(past("rolled-back"), past("completed", HERE), catalog=THERE) == (False, True)


def test_while_a_catalog_has_it_alone_ones_for_all_are_not_about_it() -> None:
    own, everywhere = past("completed", HERE), past("rolled-back")
    assert left(own, everywhere) == (True, False)
    assert left(own, everywhere, catalog=THERE) == (False, True)
    assert left(past("rolled-back", HERE), everywhere) == (False, True)


def test_one_whose_release_came_into_the_feed_for_everybody_was_for_all() -> None:
    promoted = past("rolled-back", HERE, source="RetailEval")
    assert catalogs_apart([promoted, past("completed", THERE)]) == {THERE}
    assert left(promoted, catalog=THERE) == left(promoted, catalog=None) == (False, True)


PAST = st.lists(
    st.builds(
        past,
        st.sampled_from(STATES),
        st.sampled_from([None, HERE, THERE]),
        release=st.sampled_from([RELEASE, OTHER]),
        feed=st.sampled_from(["Retail", "Canary"]),
        source=st.sampled_from([None, None, "RetailEval"]),
    ),
    max_size=12,
)


@given(PAST)
def test_what_was_for_another_catalog_or_another_release_changes_nothing(rollouts: list[PastRollout]) -> None:
    mine = [one for one in rollouts if one.only in (None, HERE)]
    assert left_for(HERE, rollouts) == left_for(HERE, mine)
    for release in (RELEASE, OTHER):
        for feed in ("Retail", "Canary"):
            alone = left_for(HERE, [one for one in rollouts if (one.release_id, one.feed) == (release, feed)])
            whole = left_for(HERE, rollouts)
            assert alone == Left(whole.given & {(release, feed)}, whole.taken & {(release, feed)})


@given(PAST)
def test_nothing_is_given_and_taken_at_once_and_nobody_is_given_anything_without_one_of_their_own(
    rollouts: list[PastRollout],
) -> None:
    for catalog in (HERE, THERE, None):
        found = left_for(catalog, rollouts)
        assert not found.given & found.taken
        assert catalog in catalogs_apart(rollouts) or not found.given
