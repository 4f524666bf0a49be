# SPDX-License-Identifier: Apache-2.0
"""Libraries that a guardian's links need beside those of every guardian, and Python modules compiled for its image.

An image cannot be written on its device, so a module that comes as text is compiled at each start, in memory: asyncua
takes 93 MB and a second that way, and 53 MB and a third of it where its modules come compiled. It also comes without
its server and with those of OPC UA's 14,000 standard names that a client uses: 6 MB less.

Source: PEP 552 (hash-based ``.pyc`` files).
"""

from __future__ import annotations

import importlib.util
import marshal
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from armillary.wire.equipment.faults import LinkLibraryMissingError
from armillary.wire.equipment.profile import BacnetIp, LinkSettings, OpcUa

# asyncua waits by it where asyncio's own wait_for lost cancellations (repaired in Python 3.12).
_FOR_OLDER = ("wait-for2",) if sys.version_info < (3, 12) else ()
# Distributions, each with what of it is imported (tests/content/test_guardian_libraries.py).
LINK_LIBRARIES: Mapping[type, tuple[str, ...]] = {
    OpcUa: ("cryptography", "cffi", "asyncua", "anyio", "python-dateutil", "pytz", "typing-extensions", *_FOR_OLDER),
    BacnetIp: ("bacpypes3",),
}
# What they have beside for programs that a guardian is not: servers' address spaces, time zones, IPv6 and brokers.
LEFT_OUT = ("asyncua/server/", "asyncua/pubsub/", "asyncua/tools.py", "asyncua/sync.py", "pytz/zoneinfo/")
# Whoever gets a changed library is told (GNU LGPL 3 §4, GPL 3 §5a).
CHANGED_NOTICE = b"# Changed for a guardian's image, by Armillary: what no client uses is left out.\n"
_OPCUA_PACKAGE = "lib/asyncua/__init__.py"
_OPCUA_SERVER = b"from .server import Server\n"
_OPCUA_NAMES = "lib/asyncua/ua/object_ids.py"
# "    RootFolder = 84" of the class ObjectIds, and the same the other way round.
_OPCUA_NAME = re.compile(rb"^ +(\w+) = \d+\n|^ObjectIdNames\[\d+\] = '(\w+)'\n", re.MULTILINE)
# They read their own version when they are imported.
KEPT_METADATA = ("asyncua",)
# PEP 552: the hash of the source stands in the file and is not compared. The image's own signature covers both.
UNCHECKED_HASH = (1).to_bytes(4, "little")


def libraries_of(links: Iterable[LinkSettings]) -> tuple[str, ...]:
    """The distributions that these links need, each once."""
    return tuple(dict.fromkeys(name for link in links for name in LINK_LIBRARIES.get(type(link), ())))


def for_client(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files of an image, those of asyncua without what belongs to a server or is a name that nothing here says.

    Raises:
        LinkLibraryMissingError: the installed asyncua is not of the form that is known.
    """
    found = dict(files)
    if _OPCUA_PACKAGE not in found:
        return found
    if _OPCUA_SERVER not in found[_OPCUA_PACKAGE] or not _OPCUA_NAME.search(found.get(_OPCUA_NAMES, b"")):
        raise LinkLibraryMissingError("asyncua is of a version that guardians are not made for")
    found[_OPCUA_PACKAGE] = CHANGED_NOTICE + found[_OPCUA_PACKAGE].replace(_OPCUA_SERVER, b"")
    texts = (text for path, text in files.items() if path.endswith(".py") and path != _OPCUA_NAMES)
    said = {word for text in texts for word in re.findall(rb"\w+", text)}

    def kept(line: re.Match[bytes]) -> bytes:
        return line[0] if (line[1] or line[2]) in said else b""

    found[_OPCUA_NAMES] = CHANGED_NOTICE + _OPCUA_NAME.sub(kept, found[_OPCUA_NAMES])
    return found


def with_compiled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files with the compiled form of each Python module, for interpreters of this version; others use the text."""
    found = dict(files)
    for path, source in files.items():
        if path.endswith(".py"):
            found[_compiled_path(path)] = compiled(source, path)
    return found


def compiled(source: bytes, path: str) -> bytes:
    """A module as a ``.pyc`` file. ``path`` is what tracebacks show."""
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source) + marshal.dumps(code)


def _compiled_path(path: str) -> str:
    place = PurePosixPath(path)
    return str(place.parent / "__pycache__" / f"{place.stem}.{sys.implementation.cache_tag}.pyc")
