# SPDX-License-Identifier: Apache-2.0
"""Documents of profiles, for tests: small ones of each link, and one changed in a single place."""

from __future__ import annotations

import copy
from typing import Any

MISSING = object()  # As a value: the key is taken away


def machine() -> dict[str, Any]:
    """A small machine on Modbus TCP that has a part of every kind."""
    return {
        "profile": "test/machine",
        "version": 1,
        "title": "Machine",
        "manufacturer": "Tests",
        "model": "One",
        "link": {"protocol": "modbus-tcp", "host": "10.9.0.2"},
        "groups": {"fast": 1, "slow": 60},
        "points": {
            "level": {"table": "input", "address": 0, "raw": "u16", "scale": 0.1, "unit": "litre", "group": "fast",
                      "quantity": "Volume", "low": 0, "high": 100, "report": {"absolute": 0.5, "max_s": 60}},
            "state": {"table": "input", "address": 1, "raw": "u16", "group": "fast",
                      "states": {"idle": 0, "busy": 1}},
            "faults": {"table": "input", "address": 2, "raw": "u16", "group": "fast", "bits": {"hot": 0, "cold": 3}},
            "total": {"table": "input", "address": 4, "raw": "u32be", "group": "slow", "counter": True},
            "other": {"table": "input", "address": 6, "raw": "u32le", "group": "slow", "counter": True},
            "setting": {"table": "holding", "address": 10, "raw": "i16", "scale": 0.5, "unit": "degreeCelsius",
                        "group": "slow"},
            "gain": {"table": "holding", "address": 20, "raw": "f32le", "group": "slow", "low": -10, "high": 10},
            "door": {"table": "discrete", "address": 3, "raw": "bool", "group": "fast"},
            "release": {"table": "input", "address": 8, "raw": "u16", "group": "slow"},
        },
        "arrays": {
            "tank": {"count": 3, "stride": 2, "position": {"start": 1, "pitch": 2, "unit": "metre"}, "members": {
                "temperature": {"table": "input", "address": 100, "raw": "i16", "scale": 0.1, "group": "fast",
                                "unit": "degreeCelsius", "quantity": "Temperature"},
                "pressure": {"table": "input", "address": 101, "raw": "u16", "scale": 0.01, "group": "fast",
                             "unit": "bar"},
            }},
        },
        "events": {"run": {"start": {"state": ["busy"]}, "end": {"state": ["idle"]}, "capture": ["level", "total"]}},
        "derived": {
            "share": {"operator": "ratio", "inputs": ["total", "other"], "window_s": 60},
            "empty": {"operator": "remaining", "inputs": ["level"], "window_s": 60, "unit": "second"},
        },
        "alarms": {
            "full": {"point": "level", "above": True, "limit": 90, "clear": 80, "hold_s": 2},
            "hot": {"point": "tank.temperature", "above": True, "limit": 60, "clear": 55, "severity": "critical"},
            "shareLow": {"point": "share", "above": False, "limit": 0.5, "clear": 0.6},
        },
        "commands": {
            "setSetting": {"table": "holding", "address": 10, "raw": "i16", "scale": 0.5, "unit": "degreeCelsius",
                           "low": -10, "high": 40, "step": 5, "every_s": 10, "when": {"state": ["idle"]},
                           "verify": True},
            "start": {"table": "coil", "address": 1, "fixed": True, "local_consent": True, "when": {"door": [False]}},
            "lamp": {"table": "coil", "address": 2},
        },
        "recipe": {"address": 200, "words": 3, "slots": 4, "commit_coil": 5, "when": {"state": ["idle"]}, "fields": {
            "amount": {"offset": 0, "raw": "u16", "scale": 0.1, "unit": "litre", "low": 1, "high": 50},
            "cycles": {"offset": 1, "raw": "u32be", "low": 0, "high": 100000},
        }},
        "firmware": {"address": 1000, "words": 16, "offset_address": 1100, "write_coil": 30, "commit_coil": 31,
                     "revert_coil": 32, "version": "release", "limit_bytes": 65536, "when": {"state": ["idle"]}},
    }  # fmt: skip


def framed() -> dict[str, Any]:
    """A small machine on a framed serial line."""
    return {
        "profile": "test/framed",
        "version": 1,
        "title": "Framed",
        "manufacturer": "Tests",
        "model": "Two",
        "link": {"protocol": "framed-serial", "port": "UART2"},
        "frames": {"count": {"kind": 1, "length": 7}, "heat": {"kind": 2, "length": 5}},
        "points": {
            "uses": {"frame": "count", "byte": 0, "raw": "u32le", "counter": True},
            "dose": {"frame": "count", "byte": 4, "raw": "u16", "scale": 0.01, "unit": "millilitre"},
            "open": {"frame": "count", "byte": 6, "raw": "bool"},
            "warmth": {"frame": "heat", "byte": 0, "raw": "i16le", "scale": 0.1, "unit": "degreeCelsius",
                       "quantity": "Temperature", "low": -20, "high": 60},
            "code": {"frame": "heat", "byte": 4, "raw": "u8", "states": {"fine": 0, "worn": 7}},
        },
        "commands": {
            "setDose": {"frame": 0x81, "raw": "u16", "scale": 0.01, "unit": "millilitre", "low": 0.4, "high": 1.5,
                        "step": 0.5, "shows": "dose", "verify": True},
            "blink": {"frame": 0x82, "every_s": 10},
        },
    }  # fmt: skip


def nodes() -> dict[str, Any]:
    """A small machine on OPC UA."""
    return {
        "profile": "test/nodes",
        "version": 1,
        "title": "Nodes",
        "manufacturer": "Tests",
        "model": "Three",
        "link": {"protocol": "opc-ua", "url": "opc.tcp://10.9.0.2:4840"},
        "groups": {"all": 1},
        "points": {
            "speed": {"node": "ns=2;s=Speed", "raw": "f64be", "group": "all", "low": 0, "high": 50},
            "count": {"node": "ns=2;i=7", "raw": "u32be", "group": "all"},
            "on": {"node": "ns=2;s=On", "raw": "bool", "group": "all"},
        },
        "arrays": {"zone": {"count": 3, "stride": 0, "members": {
            "heat": {"node": "ns=2;s=Zone.{i}.heat", "group": "all", "unit": "degreeCelsius"}}}},
        "commands": {"setSpeed": {"node": "ns=2;s=Speed", "raw": "f64be", "low": 0, "high": 40}},
    }  # fmt: skip


def objects() -> dict[str, Any]:
    """A small machine on BACnet/IP."""
    return {
        "profile": "test/objects",
        "version": 1,
        "title": "Objects",
        "manufacturer": "Tests",
        "model": "Four",
        "link": {"protocol": "bacnet-ip", "host": "10.9.0.2", "device": 7},
        "groups": {"all": 1},
        "points": {"supply": {"object": "analog-input", "instance": 3, "group": "all", "unit": "degreeCelsius"}},
        "arrays": {"room": {"count": 30, "stride": 1, "members": {
            "heat": {"object": "analog-value", "instance": 10, "property": "present-value", "group": "all"}}}},
    }  # fmt: skip


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The document with one place set, or taken away (:data:`MISSING`)."""
    copied = copy.deepcopy(document)
    *above, last = path.split("/")
    inner = copied
    for key in above:
        inner = inner.setdefault(key, {})
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return copied
