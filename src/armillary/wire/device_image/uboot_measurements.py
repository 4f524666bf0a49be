# SPDX-License-Identifier: Apache-2.0
r"""What U-Boot measures of itself and of a slot's signed file, before it starts what is in it.

::

    version       PCR 0, SHA-256 of its text with a zero byte                        EV_S_CRTM_VERSION
    kernel        PCR 4, SHA-256 as it is in the file, packed                        EV_COMPACT_HASH
    first files   PCR 4, SHA-256                                                     EV_COMPACT_HASH
    device tree   PCR 4, SHA-256 as it is in the file; it has the command line       EV_TABLE_OF_DEVICES
    separator     PCR 0 to 7, SHA-256 of ff ff ff ff; of 01 00 00 00 where measuring failed   EV_SEPARATOR

In this order; so the values that PCRs hold are known, and these are what is judged. Where nothing was measured, because
the TPM did not answer, they are zero, and where measuring failed on the way the separator is another one.

U-Boot itself has kernel and first files in PCR 8 and 9, the device tree in PCR 1: of these none is quoted or judged, so
the build puts all three into the PCR of boot loaders (``device_image/uboot/source.py``). The command line that it
measures into PCR 1 comes from its environment; ours is in the device tree.

Specification: U-Boot 2025.01, ``boot/bootm.c`` (bootm_measure), ``lib/tpm_tcg2.c`` (tcg2_measurement_init, _term);
TCG PC Client Platform Firmware Profile 1.06, §3.3.4 (PCRs) and §10.4.1 (events).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from armillary.errors import WireError
from armillary.wire.device_image.boot_measurements import extended
from armillary.wire.device_image.flattened_tree import properties_of

VERSION_PCR: Final = 0
# Hold nothing but the separator.
EMPTY_PCRS: Final = (2, 7)
SEPARATOR: Final = sha256(b"\xff\xff\xff\xff").digest()
FAILED_SEPARATOR: Final = sha256(b"\x01\x00\x00\x00").digest()
_VERSION: Final = re.compile(rb"U-Boot \d{4}\.\d\d[ -~]{1,100}\0")
_WHAT: Final = "signed file of a slot"
_PARTS: Final = ("kernel", "ramdisk", "fdt")


def version_value(program: bytes) -> bytes:
    """What PCR 0 holds after this U-Boot; WireError if the program has no version, or several."""
    found = set(_VERSION.findall(program))
    if len(found) != 1:
        raise WireError("U-Boot", expected="one version in it", got=f"{len(found)}")
    return extended([sha256(found.pop()).digest(), SEPARATOR])


def empty_value() -> bytes:
    """What a PCR holds that nothing was measured into."""
    return extended([SEPARATOR])


def slot_values(file: bytes) -> Mapping[str, bytes]:
    """What PCR 4 holds after each configuration of a slot's signed file, by its name (``slot-a``); sorted.

    Raises:
        WireError: it is no such file, or a configuration names what is not in it.
    """
    places = properties_of(file)

    def text(path: str) -> str:
        at, size = _place(places, path)
        return file[at : at + size].rstrip(b"\0").decode("ascii", "replace")

    def digest(configuration: str, part: str) -> bytes:
        at, size = _place(places, f"/images/{text(f'/configurations/{configuration}/{part}')}/data")
        return sha256(file[at : at + size]).digest()

    names = sorted({path.split("/")[2] for path in places if re.fullmatch(r"/configurations/[^/]+/kernel", path)})
    if not names:
        raise WireError(_WHAT, expected="configurations with a kernel", got="none")
    return {name: extended([*(digest(name, part) for part in _PARTS), SEPARATOR]) for name in names}


def _place(places: Mapping[str, tuple[int, int]], path: str) -> tuple[int, int]:
    if path not in places:
        raise WireError(_WHAT, expected=path, got="no such property")
    return places[path]
