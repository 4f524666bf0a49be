# SPDX-License-Identifier: Apache-2.0
"""The index and the matcher: packages by their ecosystem's names, releases, conditions, withdrawn records, open answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from armillary.advisory import match
from armillary.advisory.affected import Answer
from armillary.advisory.ecosystem import NotAssessed, Package, package_of, split_ecosystem
from armillary.advisory.match import Index, Matcher, Platform
from armillary.wire.advisory.osv import Advisory, Affected, Condition, Event, Range

BELOW_2 = Range("ECOSYSTEM", (Event("introduced", "0"), Event("fixed", "2.0")))


def advisory(name: str, ecosystem: str, package: str, *ranges: Range, **more: object) -> Advisory:
    entry = Affected(ecosystem=ecosystem, name=package, ranges=ranges or (BELOW_2,), **more)  # type: ignore[arg-type]
    return Advisory(id=name, modified=1, affected=(entry,))


def found(purl: str, *advisories: Advisory, platform: Platform | None = None, version: str = "") -> list[str]:
    return [each.advisory for each in Matcher(Index(advisories)).match(purl, version, platform).matches]


@pytest.mark.parametrize(
    ("purl", "package"),
    [
        ("pkg:pypi/Foo_Bar.baz@1.0", Package("PyPI", "", "foo-bar-baz", "1.0")),
        ("pkg:golang/github.com/Azure/x@v1.0.0", Package("Go", "", "github.com/azure/x", "v1.0.0")),
        ("pkg:golang/stdlib@go1.21rc2", Package("Go", "", "stdlib", "1.21.0-rc.2")),
        ("pkg:golang/stdlib@1.22.1", Package("Go", "", "stdlib", "1.22.1")),
        ("pkg:npm/%40scope/name@1.0.0", Package("npm", "", "@scope/name", "1.0.0")),
        ("pkg:npm/@scope/name@1.0.0", Package("npm", "", "@scope/name", "1.0.0")),
        ("pkg:maven/org.apache/commons@1", Package("Maven", "", "org.apache:commons", "1")),
        ("pkg:nuget/Newtonsoft.Json@13.0.1", Package("NuGet", "", "newtonsoft.json", "13.0.1")),
        (
            "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=arm64&distro=debian-12&upstream=openssl",
            Package("Debian", "12", "openssl", "3.0.11-1~deb12u2"),
        ),
        (
            "pkg:deb/debian/libc-bin@2.36-9%2Bb1?upstream=glibc%402.36-9&distro=bookworm",
            Package("Debian", "", "glibc", "2.36-9"),
        ),
        ("pkg:deb/ubuntu/bash@5.1?distro=ubuntu-22.04", Package("Ubuntu", "22.04", "bash", "5.1")),
        ("pkg:apk/alpine/libcrypto3@3.1.4-r0?distro=alpine-3.18.4&upstream=openssl", Package("Alpine", "3.18", "openssl", "3.1.4-r0")),
        ("pkg:rpm/almalinux/bash@5.1-1.el9?epoch=1&distro=almalinux-9.3", Package("AlmaLinux", "9", "bash", "1:5.1-1.el9")),
        ("pkg:apk/alpine/libssl@1-r0?distro=3.18&origin=openssl", Package("Alpine", "3.18", "openssl", "1-r0")),
        ("pkg:composer/Laravel/Framework@9.0", Package("Packagist", "", "laravel/framework", "9.0")),
    ],
)  # fmt: skip
def test_a_package_url_names_a_package_of_an_ecosystem(purl: str, package: Package) -> None:
    assert package_of(purl) == package


@pytest.mark.parametrize(
    ("purl", "reason"),
    [
        ("", "no package URL"),
        ("pkg:generic/openssl@3.0", "type generic"),
        ("pkg:rpm/redhat/bash@5", "type rpm/redhat"),
        ("pkg:pypi/django", "no version"),
        ("openssl 3.0", "cannot be read"),
    ],
)
def test_what_no_feed_speaks_of_is_not_assessed(purl: str, reason: str) -> None:
    named = package_of(purl)
    assert isinstance(named, NotAssessed)
    assert reason in named.reason
    answer = Matcher(Index([])).match(purl)
    assert answer.matches == ()
    assert reason in answer.reason


def test_a_version_beside_the_package_url_is_used_where_it_has_none() -> None:
    affected = advisory("A", "PyPI", "django")
    assert found("pkg:pypi/django", affected, version="1.0") == ["A"]
    assert found("pkg:pypi/django@3.0", affected, version="1.0") == []


def test_ecosystems_are_split_from_their_releases() -> None:
    assert split_ecosystem("Alpine:v3.18") == ("Alpine", "3.18")
    assert split_ecosystem("Ubuntu:22.04:LTS") == ("Ubuntu", "22.04")
    assert split_ecosystem("Ubuntu:Pro:22.04:LTS") == ("Ubuntu", "Pro:22.04")
    assert split_ecosystem("PyPI") == ("PyPI", "")


def test_an_advisory_for_another_release_does_not_match_and_one_for_none_does() -> None:
    ours, other, any_ = (
        advisory(name, eco, "openssl") for name, eco in zip("OAX", ("Debian:12", "Debian:11", "Debian"), strict=True)
    )
    assert found("pkg:deb/debian/openssl@1.0?distro=debian-12", ours, other, any_) == ["O", "X"]
    # Whose release is not known may be affected by any: more is said, never less.
    assert found("pkg:deb/debian/openssl@1.0", ours, other, any_) == ["O", "A", "X"]


def test_withdrawn_advisories_affect_nothing_and_of_one_id_the_newest_counts() -> None:
    held = advisory("A", "PyPI", "django")
    assert found("pkg:pypi/django@1.0", held) == ["A"]
    assert found("pkg:pypi/django@1.0", replace(held, withdrawn=5)) == []
    later = replace(held, modified=9, withdrawn=5)
    assert found("pkg:pypi/django@1.0", held, later) == found("pkg:pypi/django@1.0", later, held) == []


def test_conditions_are_held_against_the_platform() -> None:
    windows = advisory("W", "Go", "x", conditions=(Condition("os", ("windows",), ()),))
    ppc = advisory("P", "Go", "x", conditions=(Condition("elliptic", (), ("ppc64le",)),))
    either = advisory("E", "Go", "x", conditions=(Condition("os", ("windows",), ()), Condition("net", (), ())))
    everything, arm = (windows, ppc, either), Platform("linux", "arm64")
    assert found("pkg:golang/x@1.0.0", *everything, platform=arm) == ["E"]
    assert found("pkg:golang/x@1.0.0", *everything, platform=Platform("windows", "ppc64le")) == ["W", "P", "E"]
    assert found("pkg:golang/x@1.0.0", *everything) == ["W", "P", "E"]
    said = Matcher(Index(everything)).match("pkg:golang/x@1.0.0").matches
    assert [bool(each.conditions) for each in said] == [True, True, False]


def test_two_entries_of_one_advisory_for_one_package_are_one_match() -> None:
    one = advisory("A", "Go", "x", conditions=(Condition("os", ("windows",), ()),)).affected[0]
    both = Advisory(id="A", modified=1, affected=(one, replace(one, conditions=())))
    assert found("pkg:golang/x@1.0.0", both, platform=Platform("linux", "arm")) == ["A"]


def test_a_version_that_cannot_be_ordered_is_matched_as_text_and_otherwise_open() -> None:
    listed = replace(advisory("L", "PyPI", "x"), affected=(Affected(ecosystem="PyPI", name="x", versions=("1-odd",)),))
    ranged, plain = advisory("R", "PyPI", "x"), advisory("N", "PyPI", "y")
    answer = Matcher(Index([listed, ranged, plain])).match("pkg:pypi/x@1-odd")
    assert [(each.advisory, each.answer, each.unordered) for each in answer.matches] == [("L", Answer.LISTED, True)]
    assert (answer.open, answer.ordered) == (("R",), False)
    assert "cannot be ordered against 1 advisories" in answer.reason


def test_an_ecosystem_without_an_order_is_matched_by_lists_only() -> None:
    given = Affected(ecosystem="Packagist", name="a/b", versions=("1.5",), ranges=(BELOW_2,))
    matcher = Matcher(Index([Advisory(id="A", modified=1, affected=(given,))]))
    assert [each.advisory for each in matcher.match("pkg:composer/a/b@1.5").matches] == ["A"]
    assert matcher.match("pkg:composer/a/b@1.6").open == ("A",)


def test_answers_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "MAX_REMEMBERED", 2)
    matcher = Matcher(Index([advisory("A", "PyPI", "x")]))
    first = matcher.match("pkg:pypi/x@1.0")
    assert matcher.match("pkg:pypi/x@1.0") is first
    for number in range(5):
        matcher.match(f"pkg:pypi/x@1.{number + 1}")
    assert len(matcher._remembered) <= 2
    assert matcher.match("pkg:pypi/x@1.0") == first


def test_an_index_says_what_it_holds() -> None:
    index = Index([advisory("A", "Debian:12", "x"), advisory("B", "PyPI", "x"), advisory("C", "PyPI", "X")])
    assert (index.packages, index.ecosystems, len(index.advisories)) == (2, {"Debian", "PyPI"}, 3)
