# SPDX-License-Identifier: Apache-2.0
"""Rules of DTDL that take more than one element: references, cycles, depths, counts, names that must differ.

Source: DTDL v2 and v3 §Model completeness, §Partitions and referenceability, §Limits and exclusions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from armillary.wire.dtdl import tables
from armillary.wire.dtdl.co_types import co_types_of
from armillary.wire.dtdl.element import Element, Reference, rule_name
from armillary.wire.dtdl.fault import Faults
from armillary.wire.dtdl.json_text import Node
from armillary.wire.dtdl.literal import literal
from armillary.wire.dtdl.reader import ElementReader

_COMPLEX_WITH_DEPTH = ("Array", "Map", "Object")


class ModelCheck:
    """Judges the elements of all documents that a reader has read, and notes broken rules in ``faults``.

    ``allow_missing`` says whether elements may be named that no document has.
    """

    def __init__(self, reader: ElementReader, faults: Faults, *, allow_missing: bool) -> None:
        self._reader = reader
        self._faults = faults
        self._allow_missing = allow_missing
        self._order: list[Element] = []  # each after all that it leads to
        self._schema_depths: dict[int, int] = {}
        self._extends_depths: dict[int, int] = {}
        self._with_array: set[int] = set()
        self._inherited = self._inherited_elements = 0
        self._inner_components: dict[int, Element | None] = {}
        self.missing: set[str] = set()
        self._checks: Mapping[str, Callable[[Element], None]] = {
            "Interface": self._interface,
            "Component": self._component,
            "Enum": self._enum,
            "Object": lambda element: self._unique_names(element, "fields", "Object"),
            "Relationship": lambda element: self._unique_names(element, "properties", "Relationship"),
            "Property": self._no_array,
        }

    def run(self) -> None:
        """Judge every element, and note each broken rule in ``faults``."""
        for element in self._reader.elements:
            for name, links in element.links.items():
                member = tables.CLASSES[element.version][element.kind][name]
                for link in links:
                    self._follow(element, name, member, link)
                self._count(element, name, member, links)
        if self._has_cycle():
            return  # what follows walks along paths
        self._measure()
        for element in self._reader.elements:
            self._co_types(element)
            check = self._checks.get(element.kind)
            if check is not None:
                check(element)
            if element.kind in _COMPLEX_WITH_DEPTH and self._schema_depths[id(element)] > tables.MAX_SCHEMA_DEPTH:
                expected = f"at most {tables.MAX_SCHEMA_DEPTH} schemas inside one another"
                self._fault(element, element.node, "PropertiesElementSchemaSchemaMaxDepth", expected, "more")

    def _measure(self) -> None:
        """Measure the depths of every element, and whether it contains an array: leaves first, without recursion."""
        for element in self._order:
            schemas = extends = 0
            for name, links in element.links.items():
                step = 1 if name in ("schema", "elementSchema") else 0
                for link in links:
                    inner = link.element
                    schemas = max(schemas, step + (0 if inner is None else self._schema_depths[id(inner)]))
                    if name == "extends" and inner is not None:
                        extends = max(extends, 1 + self._extends_depths[id(inner)])
                    if link.word in tables.GEOSPATIAL or (inner is not None and id(inner) in self._with_array):
                        self._with_array.add(id(element))
            if element.kind == "Array":
                self._with_array.add(id(element))
            self._schema_depths[id(element)] = schemas
            self._extends_depths[id(element)] = extends

    # References ---------------------------------------------------------------------------------------------

    def _follow(self, element: Element, name: str, member: tables.Member, link: Reference) -> None:
        if not link.identifier:
            return
        found = self._reader.by_id.get(link.identifier)
        if found is None:
            self.missing.add(link.identifier)
            if not self._allow_missing:
                rule = element.rule("DependentReference", name)
                self._refuse(element, link.node, link.path, rule, "an element of these documents", link.identifier)
            return
        link.element = found
        older, newer = found.version < element.version, found.version > element.version
        if found.kind not in member.classes or newer or (older and not member.takes_older):
            rule = element.rule("TypeConformance", name)
            got = f"{found.kind} of DTDL v{found.version}: {link.identifier}"
            self._refuse(element, link.node, link.path, rule, " or ".join(member.classes), got)
        if found.kind != "Interface" and found.partition is not element.partition:
            expected = "an interface, or an element of the same interface"
            self._refuse(element, link.node, link.path, "DependencyReferenceable", expected, link.identifier)

    def _count(self, element: Element, name: str, member: tables.Member, links: list[Reference]) -> None:
        if member.minimum is not None and len(links) < member.minimum:
            expected = f"at least {member.minimum} in {name}"
            self._fault(element, element.node, "MinCount", expected, str(len(links)), member=name)
        if member.maximum is not None and len(links) > member.maximum:
            expected = f"at most {member.maximum} in {name}"
            self._fault(element, element.node, "MaxCount", expected, str(len(links)), member=name)

    def _has_cycle(self) -> bool:
        """Whether an element has a path to itself; notes where."""
        done: set[int] = set()
        found = False
        for start in self._reader.elements:
            if id(start) in done:
                continue
            open_: dict[int, Element] = {id(start): start}
            stack = [(start, _links(start))]
            while stack:
                element, links = stack[-1]
                link = next(links, None)
                if link is None:
                    stack.pop()
                    done.add(id(element))
                    self._order.append(element)
                    del open_[id(element)]
                elif link.element is None or id(link.element) in done:
                    continue
                elif id(link.element) in open_:
                    found = True
                    got = f"a way from {link.element.identifier or link.element.kind} to itself"
                    self._refuse(element, link.node, link.path, "NoPathToSelf", "no element inside itself", got)
                else:
                    open_[id(link.element)] = link.element
                    stack.append((link.element, _links(link.element)))
        return found

    # Interfaces ---------------------------------------------------------------------------------------------

    def _interface(self, element: Element) -> None:
        if self._extends_depths[id(element)] > tables.MAX_EXTENDS_DEPTH:
            expected = f"at most {tables.MAX_EXTENDS_DEPTH} levels of extends"
            self._fault(element, element.node, "PropertiesExtendsMaxDepth", expected, "more")
            return
        if self._inherited > tables.MAX_INHERITED or self._inherited_elements > tables.MAX_INHERITED_ELEMENTS:
            return  # reported once
        contents = contents_of(element)
        self._inherited += len(contents) + len(element.links.get("extends", ()))
        if self._inherited > tables.MAX_INHERITED:
            expected = f"at most {tables.MAX_INHERITED:,} contents of all interfaces, each with those it extends"
            self._fault(element, element.node, "PropertiesContentsMaxCount", expected, "more")
            return
        if element.version == 2 and len(contents) > tables.MAX_CONTENTS_2:
            expected = f"at most {tables.MAX_CONTENTS_2} contents, with those of extended interfaces"
            self._fault(element, element.node, "MaxCount", expected, str(len(contents)), member="contents")
        names: dict[str, Element] = {}
        for content in contents:
            name = content.literals.get("name")
            if name is None:
                continue
            first = names.setdefault(name, content)
            if first is not content:
                owner = first.partition.identifier if first.partition is not None else ""
                rule = content.rule("UniqueAmongInterfaceContents", "name")
                expected = f"each name once in {element.identifier}, with extended interfaces"
                place = content if content.partition is element else element
                self._refuse(place, place.node, place.path, rule, expected, f"{name} again, as in {owner}")
        if element.version > 2:
            self._sizes(element, contents)

    def _sizes(self, element: Element, contents: list[Element]) -> None:
        extended = sum(len(each.links.get("extends", ())) for each in _lineage(element))
        if extended > tables.MAX_EXTENDED_INTERFACES_3:
            expected = f"at most {tables.MAX_EXTENDED_INTERFACES_3} extended interfaces"
            self._fault(element, element.node, "PropertiesExtendsMaxCount", expected, str(extended))
        count, pending = len(contents), list(contents)
        seen: set[int] = set()
        while pending and count <= tables.MAX_ELEMENTS_3:
            each = pending.pop()
            if id(each) in seen or each.kind == "Interface":
                continue
            seen.add(id(each))
            for link in _links(each):
                count += 1
                if link.element is not None:
                    pending.append(link.element)
        if count > tables.MAX_ELEMENTS_3:
            rule = "PropertiesContentsMaxCount"
            self._fault(element, element.node, rule, f"at most {tables.MAX_ELEMENTS_3} elements", "more")
        self._inherited_elements += count
        if self._inherited_elements > tables.MAX_INHERITED_ELEMENTS:
            expected = (
                f"at most {tables.MAX_INHERITED_ELEMENTS:,} elements of all interfaces, each with those it extends"
            )
            self._fault(element, element.node, "PropertiesContentsMaxCount", expected, "more")
        if element.node.end - element.node.start > tables.MAX_INTERFACE_CHARACTERS_3:
            self._text(element)

    def _text(self, element: Element) -> None:
        """Check the size of an interface's own text; interfaces nested in it do not count."""
        own = element.node.end - element.node.start
        last = element.node.start
        for each in self._reader.elements:  # in the order of the text
            inside = each.document is element.document and last <= each.node.start and each.node.end <= element.node.end
            if each.kind == "Interface" and each is not element and inside:
                own -= each.node.end - each.node.start
                last = each.node.end
        if own > tables.MAX_INTERFACE_CHARACTERS_3:
            expected = f"at most {tables.MAX_INTERFACE_CHARACTERS_3} characters of text"
            self._fault(element, element.node, "TextLength", expected, str(own))

    def _component(self, element: Element) -> None:
        for link in element.links.get("schema", ()):
            if link.element is None or link.element.kind != "Interface":
                continue
            inner = self._inner_component(link.element)
            if inner is not None:
                rule = element.rule("PropertiesSchemaContentsExcludeComponent")
                got = f"{inner.literals.get('name')} in {link.element.identifier}"
                self._refuse(element, link.node, link.path, rule, "no component inside a component", got)

    def _inner_component(self, interface: Element) -> Element | None:
        """The first component of an interface, cached."""
        if id(interface) not in self._inner_components:
            found = (each for each in contents_of(interface) if each.kind == "Component")
            self._inner_components[id(interface)] = next(found, None)
        return self._inner_components[id(interface)]

    # Schemas ------------------------------------------------------------------------------------------------

    def _no_array(self, element: Element) -> None:
        """Check that a property of DTDL v2 contains no array, and so no geospatial schema."""
        if element.version > 2 or id(element) not in self._with_array:
            return
        pending, seen = [element], {id(element)}
        while pending:
            each = pending.pop()
            for link in _links(each):
                if link.word in tables.GEOSPATIAL:
                    direct = each is element
                    rule = "PropertySchemaImpliedExclusion" if direct else "PropertiesSchemaExcludeArrayImplicant"
                    self._refuse(element, link.node, link.path, element.rule(rule), "no geospatial schema", link.word)
                    return
                inner = link.element
                if inner is None or id(inner) in seen:
                    continue
                if inner.kind == "Array":  # in the property itself it is of no class that may stand there
                    rule = element.rule("PropertiesSchemaExcludeArray")
                    if each is not element:
                        self._refuse(element, link.node, link.path, rule, "no array in a property of DTDL v2", "one")
                    return
                seen.add(id(inner))
                pending.append(inner)

    def _co_types(self, element: Element) -> None:
        if "schema" not in element.links:
            return
        for name, co_type in co_types_of(element):
            if not (co_type.schemas or co_type.schema_class):
                continue
            for link in element.links["schema"]:
                found = link.word or (link.element.kind if link.element is not None else "")
                wanted = co_type.schemas or {co_type.schema_class}
                if found and found not in wanted:
                    rule = element.rule("CotypeRequiresPropertySchemaValue")
                    expected = f"a schema that a {name} can have: {', '.join(sorted(map(str, wanted)))}"
                    self._refuse(element, link.node, link.path, rule, expected, found)

    def _enum(self, element: Element) -> None:
        self._unique_names(element, "enumValues", "Enum")
        wanted = element.literals.get("valueSchema")
        if wanted is None:
            return
        kind = "Integer" if wanted == "integer" else "String"
        values: set[object] = set()
        for inner in element.linked("enumValues"):
            held = inner.literals.get("enumValue")
            if held is None:
                continue
            value = held
            if isinstance(held, Node):

                def refuse(place: Node, _: str, expected: str, got: str, inner: Element = inner) -> None:
                    rule = inner.rule(kind, "enumValue")
                    self._refuse(inner, place, f"{inner.path}.enumValue", rule, expected, got)

                value = literal(held, kind, inner.version, refuse)
                if value is None:
                    continue
                inner.literals["enumValue"] = value
            elif not isinstance(value, int if kind == "Integer" else str):
                self._fault(inner, inner.node, kind, f"a value as {wanted}", str(value), member="enumValue")
            if value in values:
                rule = "UniqueAmongEnumEnumValues"
                self._fault(inner, inner.node, rule, "each value once", str(value), member="enumValue")
            values.add(value)

    def _unique_names(self, element: Element, member: str, kind: str) -> None:
        seen: set[str] = set()
        met: set[int] = set()
        for link in element.links.get(member, ()):
            inner = link.element
            name = None if inner is None else inner.literals.get("name")
            if inner is None or name is None or id(inner) in met:
                continue
            met.add(id(inner))
            if name in seen:
                rule = inner.rule(f"UniqueAmong{kind}{member[:1].upper()}{member[1:]}", "name")
                self._refuse(element, link.node, link.path, rule, f"each name once in {member}", name)
            seen.add(name)

    # Faults -------------------------------------------------------------------------------------------------

    def _fault(self, element: Element, node: Node, rule: str, expected: str, got: str, *, member: str = "") -> None:
        self._refuse(element, node, element.path, rule_name(element.kind, rule, member), expected, got)

    def _refuse(self, element: Element, node: Node, path: str, rule: str, expected: str, got: str) -> None:
        self._faults.add(element.document, node, path, rule, element.version, expected=expected, got=got)


def contents_of(interface: Element) -> list[Element]:
    """Contents of an interface with those of the interfaces it extends, each once; its own first."""
    return list({id(content): content for each in _lineage(interface) for content in each.linked("contents")}.values())


def _lineage(interface: Element) -> Iterator[Element]:
    """An interface and those it extends, the nearer ones first, each once."""
    pending, seen = deque([interface]), {id(interface)}
    while pending:
        each = pending.popleft()
        yield each
        for above in each.linked("extends"):
            if id(above) not in seen:
                seen.add(id(above))
                pending.append(above)


def _links(element: Element) -> Iterator[Reference]:
    for links in element.links.values():
        yield from links
