# SPDX-License-Identifier: Apache-2.0
"""``/.well-known/security.txt`` (RFC 9116): where somebody who found a vulnerability turns to.

::

    # comment
    Contact: mailto:security@example.com         one or more, the preferred first (§2.5.3); URIs, web ones with https
    Expires: 2027-05-28T00:00:00Z                exactly one (§2.5.5): until when the file may be relied on
    Preferred-Languages: en, de                  at most one (§2.5.8)
    Canonical: https://example.com/.well-known/security.txt    these may stand several times (§2.5.2 ...)
    Encryption, Acknowledgments, Policy, Hiring, CSAF: URIs

Lines end with LF, which §2.2 allows beside CRLF. A file may be in an OpenPGP cleartext signature (§2.3): then what is
between its armour lines counts. The signature itself is for who reads the file; it is not verified here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from armillary.errors import InvalidArgumentError

MAX_BYTES: Final = 32 << 10  # RFC 9116 §5.4 asks readers for a limit; a page of contacts has 2 KB
MAX_URIS: Final = 16  # of one field
MAX_URI: Final = 500  # characters
MAX_LANGUAGES: Final = 20

# Field, as files spell it -> attribute, of those that have URIs.
URI_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Contact": "contacts",
        "Canonical": "canonical",
        "Encryption": "encryption",
        "Acknowledgments": "acknowledgments",
        "Policy": "policy",
        "Hiring": "hiring",
        "CSAF": "csaf",
    }
)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*", re.ASCII)  # RFC 5646 §2.1, as far as it is used
_URI: Final = re.compile(r"(https://|mailto:|tel:|dns:|openpgp4fpr:)[!-~]+", re.ASCII)
_CONTACT: Final = ("https://", "mailto:", "tel:")
_BEGIN: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE: Final = "-----BEGIN PGP SIGNATURE-----"
_NAME: Final = "security.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTxt:
    """The fields of a file; ``expires`` in Unix seconds UTC, the others as they stand."""

    expires: int
    contacts: tuple[str, ...]
    languages: tuple[str, ...] = ()
    canonical: tuple[str, ...] = ()
    encryption: tuple[str, ...] = ()
    acknowledgments: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    hiring: tuple[str, ...] = ()
    csaf: tuple[str, ...] = ()
    is_signed: bool = field(default=False, compare=False)


def build(fields: SecurityTxt) -> str:
    """The file of some fields, which :func:`check_uri` and :func:`check_languages` have let through."""
    lines = ["# Where to report a vulnerability (RFC 9116)."]
    lines += [f"Contact: {each}" for each in fields.contacts]
    lines.append(f"Expires: {datetime.fromtimestamp(fields.expires, UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}")
    if fields.languages:
        lines.append(f"Preferred-Languages: {', '.join(fields.languages)}")
    for name, attribute in URI_FIELDS.items():
        if name != "Contact":
            lines += [f"{name}: {each}" for each in getattr(fields, attribute)]
    return "\n".join(lines) + "\n"


def parse(content: bytes) -> SecurityTxt:
    """The fields of a file that somebody wrote.

    Raises:
        InvalidArgumentError: too large, not UTF-8, without contact or end, a field twice that may stand once, a line
            that is none, or a value that is not allowed; unknown fields are passed over (§2.4).
    """
    if len(content) > MAX_BYTES:
        raise _wrong(f"at most {MAX_BYTES} bytes", str(len(content)))
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise _wrong("UTF-8", f"the byte {content[error.start]:#04x} at {error.start}") from error
    is_signed = bool(lines) and lines[0] == _BEGIN
    found: dict[str, list[str]] = {}
    for name, value in _fields(_signed(lines) if is_signed else lines):
        found.setdefault(name.lower(), []).append(value)
    uris = {attribute: tuple(found.get(name.lower(), ())) for name, attribute in URI_FIELDS.items()}
    for name, attribute in URI_FIELDS.items():
        check_uris(name, uris[attribute])
    if not uris["contacts"]:
        raise _wrong("a Contact", "none")
    languages = tuple(each.strip() for each in _once(found, "Preferred-Languages", "").split(",") if each.strip())
    check_languages(languages)
    return SecurityTxt(expires=_time(_once(found, "Expires", None)), languages=languages, is_signed=is_signed, **uris)


def check_uris(name: str, values: tuple[str, ...]) -> None:
    """Raise InvalidArgumentError unless the values of a field are URIs that it may have; web addresses with https."""
    if len(values) > MAX_URIS:
        raise _wrong(f"at most {MAX_URIS} of {name}", str(len(values)))
    for each in values:
        is_contact = name != "Contact" or each.lower().startswith(_CONTACT)
        if len(each) > MAX_URI or _URI.fullmatch(each) is None or not is_contact:
            wanted = "mailto:, tel: or https://" if name == "Contact" else "https://"
            raise _wrong(
                f"{name}: a URI such as {wanted}, of visible ASCII, {MAX_URI} characters at most", f"{each!a:.80}"
            )


def check_languages(values: tuple[str, ...]) -> None:
    """Raise InvalidArgumentError unless these are language tags such as ``en`` or ``de-AT``."""
    for each in values:
        if _LANGUAGE.fullmatch(each) is None:
            raise _wrong("Preferred-Languages: tags such as en or de-AT", f"{each!a:.40}")
    if len(values) > MAX_LANGUAGES:
        raise _wrong(f"at most {MAX_LANGUAGES} languages", str(len(values)))


def _signed(lines: list[str]) -> list[str]:
    """The lines that an OpenPGP cleartext signature is of (RFC 9580 §7): without its head, dashes taken off."""
    if "" not in lines or _SIGNATURE not in lines:
        raise _wrong("an OpenPGP cleartext signature that is whole", "one that is cut off")
    begin, end = lines.index(""), lines.index(_SIGNATURE)
    return [each.removeprefix("- ") for each in lines[begin + 1 : end]]


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon or not value.strip() or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name, re.ASCII):
            raise _wrong("lines such as Contact: mailto:security@example.com", f"{line!a:.60} in line {number}")
        yield name, value.strip()


def _once(found: Mapping[str, list[str]], name: str, default: str | None) -> str:
    values = found.get(name.lower(), [] if default is None else [default])
    if len(values) != 1:
        raise _wrong(f"one {name}", str(len(values)))
    return values[0]


def _time(text: str) -> int:
    fault = _wrong("Expires: a time such as 2027-05-28T00:00:00Z", f"{text!a:.40}")
    try:
        found = datetime.fromisoformat(text.upper())
        at = int(found.timestamp())
    except (ValueError, OverflowError) as error:
        raise fault from error
    if found.tzinfo is None or at <= 0:
        raise fault
    return at


def _wrong(expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{_NAME}: expected {expected}, got {got}", remedy="RFC 9116 has the form of the file.")
