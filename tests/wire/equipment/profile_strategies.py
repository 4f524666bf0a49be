# SPDX-License-Identifier: Apache-2.0
"""Hypothesis makes profiles that follow every rule, and documents that may break any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as some
from tests.wire.equipment.profile_documents import framed, machine, nodes, objects

from armillary.wire.equipment.profile import RAW_KINDS
from armillary.wire.equipment.raw_value import is_integer

BASES = (machine, framed, nodes, objects)
REGISTER_KINDS = ("u16", "i16", "u32be", "u32le", "i32be", "i32le", "f32be", "f32le", "f64be")
FRAME_KINDS = (*RAW_KINDS,)
SCALES = (1, 0.1, 0.01, 0.5, 0.001, 2, 10, -0.1, 0.125, 3, 0.3)
UNITS = ("none", "degreeCelsius", "percent", "partsPerMillion", "litre")


def _meaning(draw: Callable[..., Any], raw: str) -> dict[str, Any]:
    """Scale, range, states, bits or counter of a point of a kind, sometimes none."""
    kind = RAW_KINDS[raw]
    if raw == "bool":
        return {}
    chosen = draw(some.integers(0, 5))
    if chosen == 0 and is_integer(raw):
        numbers = draw(some.sets(some.integers(int(kind.minimum), int(kind.maximum)), min_size=1, max_size=5))
        return {"states": {f"state{index}": number for index, number in enumerate(sorted(numbers))}}
    if chosen == 1 and is_integer(raw):
        bits = draw(some.sets(some.integers(0, kind.size * 8 - 1), min_size=1, max_size=5))
        return {"bits": {f"flag{bit}": bit for bit in bits}}
    if chosen == 2 and is_integer(raw) and kind.minimum == 0:
        return {"counter": True}
    found: dict[str, Any] = {"scale": draw(some.sampled_from(SCALES))}
    if draw(some.booleans()):
        found["offset"] = draw(some.sampled_from((0, -40, 0.5, 273.15)))
    return found


def _report(draw: Callable[..., Any]) -> dict[str, Any]:
    if draw(some.booleans()):
        return {}
    return {"report": {"absolute": draw(some.integers(0, 50)) / 10, "max_s": draw(some.integers(1, 3600))}}


@some.composite
def modbus_documents(draw: Callable[..., Any]) -> dict[str, Any]:
    """Documents of profiles on Modbus: points in any tables at any distance, an array, commands."""
    points: dict[str, Any] = {}
    for table in ("coil", "discrete", "input", "holding"):
        at = draw(some.integers(0, 2000))
        for _ in range(draw(some.integers(0, 8))):
            at += draw(some.sampled_from((0, 0, 1, 7, 8, 9, 64, 65, 200)))
            bits = table in ("coil", "discrete")
            raw = "bool" if bits else draw(some.sampled_from(REGISTER_KINDS))
            point = {"table": table, "address": at, "raw": raw, "group": draw(some.sampled_from(("fast", "slow")))}
            points[f"p{len(points)}"] = (
                point | _meaning(draw, raw) | _report(draw) | {"unit": draw(some.sampled_from(UNITS))}
            )
            at += max(RAW_KINDS[raw].size // 2, 1)
    if not points:
        points["only"] = {"table": "input", "address": 0, "raw": "u16", "group": "fast"}
    document = {**_head("test/modbus"), "groups": {"fast": 1, "slow": 60}, "points": points}
    document["link"] = {
        "protocol": "modbus-tcp",
        "host": "10.9.0.2",
        "words_per_read": draw(some.integers(1, 125)),
        "bridged_words": draw(some.integers(0, 16)),
    }
    if draw(some.booleans()):
        member = {"table": "input", "address": 40000, "raw": "i16", "scale": 0.1, "group": "fast"}
        document["arrays"] = {
            "zone": {
                "count": draw(some.integers(1, 60)),
                "stride": draw(some.integers(1, 9)),
                "members": {"heat": member},
            }
        }
    document["commands"] = {
        f"set{index}": {"table": "holding", "address": 50000 + 4 * index, "raw": "u16", "scale": scale,
                        "low": 2 * scale, "high": 40 * scale, "every_s": index}
        for index, scale in enumerate(draw(some.lists(some.sampled_from((1, 0.1, 0.5, 0.01)), max_size=4)))
    }  # fmt: skip
    return document


@some.composite
def framed_documents(draw: Callable[..., Any]) -> dict[str, Any]:
    """Documents of profiles on a framed serial line."""
    frames, points = {}, {}
    for kind in sorted(draw(some.sets(some.integers(0x20, 0x7F), min_size=1, max_size=4))):
        offset = 0
        for _ in range(draw(some.integers(1, 5))):
            raw = draw(some.sampled_from(FRAME_KINDS))
            offset += draw(some.integers(0, 2))
            point = {"frame": f"frame{kind}", "byte": offset, "raw": raw}
            points[f"p{len(points)}"] = point | _meaning(draw, raw) | _report(draw)
            offset += max(RAW_KINDS[raw].size, 1)
        frames[f"frame{kind}"] = {"kind": kind, "length": offset + draw(some.integers(0, 3))}
    return {
        **_head("test/framed"),
        "link": {"protocol": "framed-serial", "port": "UART2", "max_payload": 64},
        "frames": frames,
        "points": points,
    }


def _head(name: str) -> dict[str, Any]:
    return {"profile": name, "version": 7, "title": "Made", "manufacturer": "Tests", "model": "Any"}


documents = modbus_documents() | framed_documents()

_LEAVES = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(max_size=12)
    | some.sampled_from(("u16", "input", "fast", "level", "x*2", "${a}", 10**400, -1, 65536, "bool", "", {}, []))
)
anything = some.recursive(
    _LEAVES, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, each in value.items():
            found += places(each, (*path, key))
    return found


@some.composite
def broken_documents(draw: Callable[..., Any]) -> Any:
    """A valid document in which up to three places have something else, or are gone, or doubled under another name."""
    document = draw(some.sampled_from(BASES))()
    for _ in range(draw(some.integers(1, 3))):
        known = places(document)
        if not known:
            break
        *above, last = draw(some.sampled_from(known))
        inner = document
        for key in above:
            inner = inner[key]
        match draw(some.integers(0, 3)):
            case 0:
                inner.pop(last)
            case 1:
                inner[draw(some.text(max_size=8) | some.sampled_from(("raw", "scale", "x1", "expression")))] = inner[
                    last
                ]
            case 2:
                other = draw(some.sampled_from(known))
                value: Any = document
                for key in other:
                    value = value.get(key) if isinstance(value, dict) else None
                inner[last] = _copied(value)
            case _:
                inner[last] = draw(anything)
    return document


def _copied(value: Any) -> Any:
    return {key: _copied(each) for key, each in value.items()} if isinstance(value, dict) else value
