# SPDX-License-Identifier: Apache-2.0
"""Types besides an element's class: semantic types with their units, types of extensions, undefined ones.

Source: DTDL v2 §Semantic types; extensions iotcentral version 2 and quantitativeTypes version 1; DTDL v2 and v3
§DTDL element on what an "informally co-typed" element is.
"""

from __future__ import annotations

from armillary.wire.dtdl.element import Element
from armillary.wire.dtdl.fault import Faults, shown
from armillary.wire.dtdl.json_text import Node
from armillary.wire.dtdl.literal import single
from armillary.wire.dtdl.names import is_identifier
from armillary.wire.dtdl.tables import IOT_CENTRAL, IOT_CENTRAL_TYPES, QUANTITATIVE_TYPES, QUANTITIES, RESERVED, CoType
from armillary.wire.dtdl.units import UNITS

_QUANTITY_PREFIX = {2: "dtmi:standard:class:", 3: "dtmi:dtdl:extension:quantitativeTypes:v1:class:"}
_UNIT_PREFIX = {2: "dtmi:standard:unit:", 3: "dtmi:dtdl:extension:quantitativeTypes:v1:unit:"}
# Names under which a unit may stand.
UNIT_MEMBERS = {
    2: ("unit", "dtmi:dtdl:property:unit;2"),
    3: ("unit", "dtmi:dtdl:extension:quantitativeTypes:v1:property:unit"),
}


def judge_types(element: Element, types: list[str], faults: Faults) -> bool:
    """Judge the types besides the class, and the unit; whether one of them is undefined ("informally co-typed").

    What a type asks of the schema is judged when references were followed (``check.py``).
    """
    element.types = tuple(dict.fromkeys(types))
    informal = False
    quantities = []
    for text in element.types:
        quantity, adjunct = _quantity(element, text), _adjunct(element, text)
        if quantity is not None:
            quantities.append(quantity)
        elif adjunct is None:
            informal = _undefined(element, text, faults) or informal
        elif element.kind not in adjunct[1].classes:
            expected = f"{adjunct[0]} on {' or '.join(adjunct[1].classes)}"
            rule = "TypeIncludesIrrelevantDtmiOrTerm"
            element.note(faults, element.node, rule, expected, f"on {element.kind}", at="@type")
    if len({name for name, _ in quantities}) > 1:
        got = ", ".join(name for name, _ in quantities)
        element.note(faults, element.node, "MultipleSemanticTypes", "one semantic type", got, at="@type")
    for name, co_type in dict(co_types_of(element)).items():
        if co_type.unit_type is not None:
            _judge_unit(element, name, co_type, co_type.unit_type, faults)
    return informal


def co_types_of(element: Element) -> list[tuple[str, CoType]]:
    """The known types of an element besides its class."""
    found = []
    for text in element.types:
        known = _quantity(element, text) or _adjunct(element, text)
        if known is not None and element.kind in known[1].classes:
            found.append(known)
    return found


def _quantity(element: Element, text: str) -> tuple[str, CoType] | None:
    version = element.version
    if version > 2 and not element.context.has(QUANTITATIVE_TYPES):
        return None
    name = _stripped(text, _QUANTITY_PREFIX[version])
    found = QUANTITIES[version].get(name)
    return None if found is None or element.kind not in found.classes else (name, found)


def _adjunct(element: Element, text: str) -> tuple[str, CoType] | None:
    if element.version != 2 or not element.context.has(IOT_CENTRAL):
        return None
    name = _stripped(text, "dtmi:iotcentral:class:")
    found = IOT_CENTRAL_TYPES.get(name)
    return None if found is None else (name, found)


def _undefined(element: Element, text: str, faults: Faults) -> bool:
    version, incomplete = element.version, element.context.is_incomplete
    if text.startswith("dtmi:") and not is_identifier(text, version):
        rule, expected = "TypeIncludesInvalidDtmi", "model identifiers"
    elif version > 2 and ":" in text and not text.startswith("dtmi:"):
        rule, expected = "TypeIncludesNotDtmiNorTerm", "types of DTDL or of an extension in @context"
    elif incomplete:
        return True
    elif text.startswith("dtmi:") or text in RESERVED[version]:
        rule, expected = "TypeIncludesIrrelevantDtmiOrTerm", f"types that a {element.kind} can have"
    elif version == 2:
        return True
    else:
        rule, expected = "TypeIncludesUndefinedTerm", "types of DTDL or of an extension in @context"
    element.note(faults, element.members["@type"], rule, expected, ascii(text[:80]), at="@type")
    return False


def _judge_unit(element: Element, name: str, co_type: CoType, unit_type: str, faults: Faults) -> None:
    held = _unit_node(element)
    if held is None:
        if co_type.is_unit_required:
            element.note(faults, element.node, "CotypePropertyPresent", f"a unit, since it is a {name}", "none")
        return
    item, _ = single(held, is_required=True)
    text = item.value if item is not None else None
    if not isinstance(text, str):
        element.note(faults, held, "CotypePropertyPresent", "one unit", shown(held), at="unit")
        return
    unit = _stripped(text, _UNIT_PREFIX[element.version])
    units = UNITS[element.version]
    if unit not in units[unit_type]:
        known = any(unit in each for each in units.values())
        rule = "CotypePropertyValueMatchesCotype" if known else "CotypePropertyValueFromTable"
        expected = f"a unit of {name}: {', '.join(sorted(units[unit_type]))}"
        if element.note(faults, held, rule, expected, ascii(text[:80]), at="unit"):
            return
    element.unit = unit


def _unit_node(element: Element) -> Node | None:
    names = UNIT_MEMBERS[element.version]
    return next((element.members[name] for name in names if name in element.members), None)


def _stripped(text: str, prefix: str) -> str:
    return text.removeprefix(prefix).removesuffix(";2") if text.startswith(prefix) else text
