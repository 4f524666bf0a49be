# SPDX-License-Identifier: Apache-2.0
"""Orders of versions: what each takes, pairs in order, and the laws of an order on generated versions."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings, strategies as st

from armillary.advisory import version_order
from armillary.advisory.version_order import ORDERS, key_of

numbers = st.integers(0, 12).map(str)
dotted = st.lists(numbers, min_size=1, max_size=4).map(".".join)
three = st.lists(numbers, min_size=1, max_size=3).map(".".join)
pre = st.sampled_from(["", "-alpha", "-alpha.1", "-beta.2", "-beta.11", "-rc.1", "-0.20260101000000-abcdef", "-1"])
debian_part = st.text(alphabet="0129.+~abz", max_size=5)
GENERATED = {
    "pypi": st.builds(
        "{}{}{}{}".format,
        dotted,
        st.sampled_from(["", "a1", "b2", "rc1", "rc10"]),
        st.sampled_from(["", ".post1"]),
        st.sampled_from(["", ".dev3", "+local.1"]),
    ),
    "semver": st.builds("{}{}{}{}".format, st.sampled_from(["", "v"]), three, pre, st.sampled_from(["", "+b.1"])),
    "debian": st.builds(
        "{}{}{}{}".format, st.sampled_from(["", "1:", "0:"]), numbers, debian_part, st.sampled_from(["", "-1", "-1~b", "-0"])
    ),
    "rpm": st.builds(
        "{}{}{}{}".format, st.sampled_from(["", "1:"]), numbers, st.text(alphabet="019.~^ab", max_size=5),
        st.sampled_from(["", "-1.el9", "-10.el9"]),
    ),
    "apk": st.builds(
        "{}{}{}{}".format,
        dotted,
        st.sampled_from(["", "a", "z"]),
        st.sampled_from(["", "_alpha1", "_rc", "_p", "_p2", "_git20230717", "_svn3", "_rc1_p2", "_cvs"]),
        st.sampled_from(["", "-r0", "-r12"]),
    ),
    "maven": st.builds(
        "{}{}".format, dotted, st.sampled_from(["", "-alpha-1", "-SNAPSHOT", "-rc1", ".RELEASE", "-1", "-ga", "-sp", ".Final"])
    ),
    "nuget": st.builds("{}{}".format, dotted, pre),
    "gem": st.builds("{}{}".format, dotted, st.sampled_from(["", ".a", ".rc1", ".pre.2", "-x86"])),
}  # fmt: skip


def test_every_order_has_generated_versions() -> None:
    assert GENERATED.keys() == ORDERS.keys()


@pytest.mark.parametrize("order", sorted(ORDERS))
@settings(deadline=None)
@given(data=st.data())
def test_the_laws_of_a_total_order_hold(order: str, data: st.DataObject) -> None:
    texts = data.draw(st.lists(GENERATED[order], min_size=3, max_size=3))
    keys = [key_of(order, each) for each in texts]
    for one in keys:
        assert one == one
        assert not one < one
    for one, other in permutations(keys, 2):
        assert (one < other) + (other < one) + (one == other) == 1
    for one, middle, other in permutations(keys, 3):
        if one < middle and middle < other:
            assert one < other
        if one == middle and middle == other:
            assert one == other
        if one == middle:
            assert (one < other) == (middle < other)


@pytest.mark.parametrize(
    ("order", "ascending"),
    [
        ("pypi", "1.0.dev1 1.0a1 1.0rc1 1.0 1.0+local 1.0.post1 1.1 1!0.1"),
        ("semver", "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1 1.0.1 v1.10"),
        ("semver", "0.0.0-20220724015452-abc 0.0.0-20260414213245-abc 0.0.1"),
        ("debian", "1.0~~a 1.0~rc1 1.0 1.0-0+deb12u1 1.0-1 1.0a 1.0+b1 1.10 1:0.1"),
        ("rpm", "1.0~rc1-1 1.0-1 1.0-2 1.0^git1-1 1.0.1-1 1.10-1 1:0.9-1"),
        ("apk", "1.2_alpha 1.2_rc1 1.2 1.2-r1 1.2_cvs 1.2_svn1 1.2_git20230717 1.2_hg 1.2_p1 1.2_p10 1.2a 1.10"),
        ("maven", "1.0-alpha-1 1.0-beta-1 1.0-rc1 1.0-SNAPSHOT 1.0 1.0-sp 1.0-1 1.0.1 1.10"),
        ("nuget", "1.0.0-alpha 1.0.0-beta 1.0.0 1.0.0.1 1.0.1"),
        ("gem", "1.0.a 1.0.rc1 1.0 1.0.1 1.10"),
    ],
)
def test_versions_stand_in_order(order: str, ascending: str) -> None:
    keys = [key_of(order, each) for each in ascending.split()]
    for number, key in enumerate(keys):
        assert all(key < later for later in keys[number + 1 :]), ascending.split()[number]
        assert not any(key < earlier for earlier in keys[:number])


@pytest.mark.parametrize(
    ("order", "one", "other"),
    [
        ("semver", "v1.2", "1.2.0+build"), ("pypi", "1.0", "1.0.0"), ("debian", "1.0-0", "0:1.0"),
        ("maven", "1.0.RELEASE", "1"), ("maven", "1-ga-1", "1-1"), ("nuget", "1.0", "1.0.0.0"), ("gem", "1.0", "1.0.0"),
    ],
)  # fmt: skip
def test_spellings_of_one_version_are_equal(order: str, one: str, other: str) -> None:
    assert key_of(order, one) == key_of(order, other)


@pytest.mark.parametrize(
    ("order", "version"),
    [
        *((order, each) for order in ORDERS for each in ("", " 1.0", "1.0\n", "\u0661.\u0662", "1.0/../2", "1." + "9" * 300)),
        ("semver", "1.2.3.4"), ("semver", "1.0rc1"), ("semver", "latest"), ("pypi", "0.1-bulbasaur"), ("pypi", "dev"),
        ("debian", "v1.0"), ("debian", "1.0:2"), ("rpm", "a:1.0"), ("rpm", "1-2-3"),
        ("apk", "006"), ("apk", "1.0-r1junk"), ("apk", "1.0_what"), ("apk", "1_p1_p1_p1_p1_p1"), ("gem", "beta"), ("nuget", "1.2.3.4.5"),
    ],
)  # fmt: skip
def test_what_is_no_version_has_no_place(order: str, version: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        key_of(order, version)


def test_the_longest_version_is_ordered_at_once() -> None:
    longest = "1." + "9" * (version_order.MAX_CHARACTERS - 2)
    for order in ORDERS:
        assert key_of(order, "1.0") < key_of(order, longest)
