# SPDX-License-Identifier: Apache-2.0
"""Loads what a device's process needs without work that is of no use to it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Final

# Where OpenSSL finds the authorities that this host trusts: a file and a folder (SSL_CTX_set_default_verify_paths(3)).
_AUTHORITIES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# What libraries load and a device never uses: of aiohttp, cookies kept in files, proxies of the environment, pages that
# say what went wrong (the API's listener has answers of its own), passwords by digest and checks of attributes; of
# cryptography, keys of SSH.
UNUSED: Final = (
    "pickle",
    "urllib.request",
    "html",
    "aiohttp.client_middleware_digest_auth",
    "attr.validators",
    "cryptography.hazmat.primitives.serialization.ssh",
)


@contextlib.contextmanager
def no_authorities() -> Iterator[None]:
    """Have TLS contexts that are made inside trust nobody.

    aiohttp makes one as it is loaded, for requests that bring none, and with it reads every authority that this host
    trusts (2 MB, 20 ms). A device's requests bring their own: after this, one that did not would be refused.
    """
    before = {name: os.environ.get(name) for name in _AUTHORITIES}
    os.environ.update(dict.fromkeys(_AUTHORITIES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def hollow(*names: str) -> Iterator[None]:
    """Have modules be hollow for those who import them inside, unless they are there already: each name is ``object``.

    They must be modules whose contents their importers never use in this process. Whoever imports one later has all
    of it.
    """
    made = [name for name in names if name not in sys.modules]
    for name in made:
        stand_in = ModuleType(name)
        stand_in.__getattr__ = _anything  # type: ignore[method-assign]  # of a module: PEP 562
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def _anything(name: str) -> type[object]:
    if name.startswith("__"):  # what Python itself asks of a module
        raise AttributeError(name)
    return object
