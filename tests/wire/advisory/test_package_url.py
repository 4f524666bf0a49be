# SPDX-License-Identifier: Apache-2.0
"""Package URLs: their parts, spellings of one, and text that is none."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.errors import AdvisoryError
from armillary.wire.advisory.package_url import MAX_CHARACTERS, PackageUrl, parse


def parts(text: str) -> tuple[str, ...]:
    found = parse(text)
    return (found.type, found.namespace, found.name, found.version, str(dict(found.qualifiers)), found.subpath)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pkg:pypi/django@3.2.10", ("pypi", "", "django", "3.2.10", "{}", "")),
        ("PKG:PyPI/django", ("pypi", "", "django", "", "{}", "")),
        ("pkg://npm/%40scope/name@1", ("npm", "@scope", "name", "1", "{}", "")),
        ("pkg:npm/@scope/name", ("npm", "@scope", "name", "", "{}", "")),
        ("pkg:npm/@scope/name@1.0", ("npm", "@scope", "name", "1.0", "{}", "")),
        ("pkg:golang/github.com/a/b@v1.0.0#sub/./../dir", ("golang", "github.com/a", "b", "v1.0.0", "{}", "sub/dir")),
        ("pkg:deb/debian/x@1%3A2-3?arch=arm64&distro=", ("deb", "debian", "x", "1:2-3", "{'arch': 'arm64'}", "")),
        ("pkg:generic/a%2Fb@feature/x", ("generic", "", "a/b", "feature/x", "{}", "")),
    ],
)
def test_the_parts(text: str, expected: tuple[str, ...]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "pkg", "pkg:", "pkg:pypi", "pkg:pypi/@1.0", "pkg:swift/github.com/Alamofire/@5.4.3", "pkg:npm/@scope", "pkg:pypi/", "pkg:/name", "pkg:1x/name", "pkg:a b/name", "http://x/y",
        "pkg:pypi/x?a=1&a=2", "pkg:pypi/x?=1", "pkg:pypi/%ff", "pkg:pypi/a%00b", "pkg:pypi/a\nb", "pkg:maven/a%2Fb/c",
        "pkg:pypi/" + "x" * MAX_CHARACTERS, "pkg:pypi/x\ud800",
    ],
)  # fmt: skip
def test_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(AdvisoryError, match="package-url") as caught:
        parse(text)
    assert len(caught.value.message) < 300


@given(st.text(max_size=80) | st.text(alphabet="pkg:/@?#%&=.a1", max_size=40).map("pkg:".__add__))
def test_any_text_has_parts_or_is_refused(text: str) -> None:
    try:
        found = parse(text)
    except AdvisoryError:
        return
    assert isinstance(found, PackageUrl)
    assert found.type
    assert found.name
