# SPDX-License-Identifier: Apache-2.0
"""Starts the process of ``armillary device boot``, and reads its options where they are plain.

A device has little memory, and what its start has loaded stays: the library of the command line is left out, and so is
what libraries load for others. Options that are not plain are read by the command in ``boot.py``.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from armillary.cli import plain_options as plain
from armillary.device.loading import UNUSED, hollow, no_authorities
from armillary.roles.plain_log import log_to_stderr

MIN_TRIAL_S: Final = 0.1
_SECONDS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def _trial(text: str) -> float:
    """Seconds of a trial; ValueError if they are not plainly so many."""
    if not _SECONDS.fullmatch(text) or float(text) < MIN_TRIAL_S:
        raise ValueError(f"expected seconds, got {text!a:.60}")
    return float(text)


# The options that have a value: the setting's name, and what reads the value. ``boot.py`` declares them with help.
OPTIONS: Final[Mapping[str, Callable[[str], object]]] = {
    "data": Path,
    "trial": _trial,
    "mirror": str,
    "peripheral": str,
    "listen": str,
    "board": str,
    "private_network": str,
    "modem_port": str,
    "modem_interface": str,
    "rest": str,
    "rest_token_file": Path,
    "rest_list_port": plain.port,
    "rest_interface": str,
}
FLAGS: Final = {**plain.JSON, "--simulated-wifi": "simulated_wifi"}
REPEATABLE: Final = frozenset({"mirror", "peripheral", "listen", "rest_interface"})


def plain_options(arguments: Sequence[str]) -> dict[str, object] | None:
    """The options by name; None where the command must read them, as where ``--data`` is missing."""
    found = plain.plain_options(arguments, OPTIONS, flags=FLAGS, repeatable=REPEATABLE)
    return None if found is None or "data" not in found else found


def start(options: Mapping[str, Any]) -> None:
    """Be the device of a folder until Ctrl-C, with these options.

    Raises:
        ArmillaryError: an option is wrong, or the device cannot start.
    """
    log_to_stderr()
    # Garbage is searched for meanwhile: what making classes leaves is used again (0.4 MB for 10 ms).
    with no_authorities(), hollow(*UNUSED):
        from armillary.cli.device.own_process import be_device, device_settings  # noqa: PLC0415 - see the line above

        if "rest" in options:  # it loads more of aiohttp
            import armillary.device.rest.server  # noqa: F401, PLC0415
    gc.freeze()  # what was loaded stays to the end
    given = dict(options)
    data, as_json = given.pop("data"), given.pop("as_json", False)
    be_device(data, device_settings(**given), as_json=as_json)
