# SPDX-License-Identifier: Apache-2.0
"""The archive of every version of every Debian package: snapshot.debian.org, or another with the same paths.

::

    GET /mr/binary/NAME/VERSION/binfiles   {"result": [{"architecture": "amd64", "hash": "SHA-1 in hex"}, ...]}
    GET /file/SHA-1                        the file

Its SHA-1 is an address and proves nothing: who fetches compares the SHA-256 of the pin. Only base, name, version and
architecture are sent. Specification: https://salsa.debian.org/snapshot-team/snapshot/raw/master/API.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from armillary.device_image.recipe import Pin
from armillary.errors import HostError, InvalidArgumentError

ADDRESS: Final = "https://snapshot.debian.org"
# A package without its files in a minute is not coming: its servers answer within seconds.
_TIMEOUT_S: Final = 60.0
# Larger than any package that an image is made of: what is longer is cut and then refused by its digest.
_MOST_BYTES: Final = 512_000_000
_MOST_ANSWER_BYTES: Final = 1_000_000
_SHA1: Final = re.compile(r"[0-9a-f]{40}")
_REMEDY: Final = "Look whether it can be reached from this host; another one: --snapshot URL."


def fetch(pin: Pin, folder: Path, *, address: str, architecture: str) -> Path:
    """Bring the package of a pin into a folder.

    Raises:
        HostError: the archive is not reached, or has no such version for the architecture.
        InvalidArgumentError: the address is not one of http or https.
    """
    base, file = _base(address), folder / f"{pin.name}.deb"
    with _explained(base, file):
        place = f"{base}/mr/binary/{quote(pin.name, safe='')}/{quote(pin.version, safe='')}/binfiles"
        with _opened(place) as answer:
            digest = _digest_of(answer.read(_MOST_ANSWER_BYTES), architecture)
        with _opened(f"{base}/file/{digest}") as answer:
            _write(answer, file)
    return file


def fetch_file(digest: str, file: Path, *, address: str) -> None:
    """Bring the file with a SHA-1 (hex), such as one of a source package.

    Raises:
        HostError: the archive is not reached, or has no such file.
        InvalidArgumentError: the address is not one of http or https.
    """
    base = _base(address)
    with _explained(base, file), _opened(f"{base}/file/{digest}") as answer:
        _write(answer, file)


def _base(address: str) -> str:
    base = address.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise InvalidArgumentError(
            f"--snapshot: expected an address that begins with https:// or http://, got {address!r:.80}",
            remedy=f"Leave it out for {ADDRESS}.",
        )
    return base


@contextlib.contextmanager
def _explained(base: str, file: Path) -> Iterator[None]:
    """What goes wrong as one error with the archive's address; nothing of the file stays."""
    try:
        yield
    except (OSError, ValueError, http.client.HTTPException) as error:
        file.unlink(missing_ok=True)
        raise HostError(f"{base}: {_words(error)}", remedy=_REMEDY) from error


def _opened(address: str) -> http.client.HTTPResponse:
    """An answer's body."""
    request = urllib.request.Request(address, headers={"User-Agent": "armillary-image-build"})  # noqa: S310 - http(s)
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - as above
    return answer


def _write(answer: http.client.HTTPResponse, file: Path) -> None:
    """Write an answer's body; ValueError if its end did not come, or is beyond the limit."""
    left = _MOST_BYTES
    with file.open("wb") as made:
        while left > 0 and (block := answer.read(min(left, 1 << 20))):
            made.write(block)
            left -= len(block)
    if answer.length:
        raise ValueError(f"gave {file.stem} without its last {answer.length:,} bytes")


def _digest_of(answer: bytes, architecture: str) -> str:
    """The address of the file for an architecture, or for all; ValueError if the answer names none."""
    found = json.loads(answer)
    files = found.get("result") if isinstance(found, dict) else None
    for each in files if isinstance(files, list) else ():
        if isinstance(each, dict) and each.get("architecture") in (architecture, "all"):
            digest = each.get("hash")
            if isinstance(digest, str) and _SHA1.fullmatch(digest):
                return digest
    raise ValueError(f"has no file of it for {architecture}")


def _words(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return "has no such version" if error.code == http.client.NOT_FOUND else f"answers {error.code}"
    if isinstance(error, urllib.error.URLError):
        return f"is not reached ({error.reason})"
    return f"{error}" or type(error).__name__
