# SPDX-License-Identifier: Apache-2.0
"""Organisations: a tree of five levels inside one catalog; whatever is wrong with it, nobody sees more."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.twin.author.organisation import MAX_DEPTH, Organisation, check_tree, parse_organisation, subtree

ids = st.sampled_from("abcdefgh")
trees = st.dictionaries(
    ids, st.builds(Organisation, name=st.just("n"), catalog=st.sampled_from(["North", "south"]), parent=st.none() | ids)
)


def tree(**parents: str | None) -> dict[str, Organisation]:
    return {name: Organisation(name=name, catalog="C", parent=above) for name, above in parents.items()}


def test_what_is_a_tree_and_what_is_below() -> None:
    found = tree(a=None, b="a", c="b", d="c", e="d", z=None)
    check_tree(found)
    assert subtree(found, "b") == {"b", "c", "d", "e"}
    assert subtree(found, "nothing") == frozenset()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (tree(a="a"), "no circle"),
        (tree(a="b", b="a"), "no circle"),
        (tree(a="x"), "there is no organisation"),
        (tree(a=None, b="a", c="b", d="c", e="d", f="e"), "at most 5 levels"),
        ({**tree(a=None), "b": Organisation(name="b", catalog="D", parent="a")}, "in its catalog"),
    ],
)
def test_what_is_no_tree(found: dict[str, Organisation], words: str) -> None:
    with pytest.raises(ConflictError, match=words):
        check_tree(found)


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {"name": "x", "catalog": None}, {"name": "x", "catalog": "c", "y": 1}]
)
def test_a_body_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_organisation(body)


@given(found=trees, root=ids)
def test_a_subtree_ends_and_stays_in_its_catalog_whatever_the_tree(found: dict[str, Organisation], root: str) -> None:
    reach = subtree(found, root)
    assert (root in reach) == (root in found)
    for name in reach - {root}:
        assert found[name].parent in reach
        assert found[name].catalog.lower() == found[root].catalog.lower()
    with contextlib.suppress(ConflictError):
        check_tree(found)
        for name in reach:  # a good tree: from each one the root is a few steps up
            at, steps = name, 0
            while at != root:
                above = found[at].parent
                assert above is not None
                at, steps = above, steps + 1
            assert steps < MAX_DEPTH
