# SPDX-License-Identifier: Apache-2.0
"""Documents to elements: every rule of DTDL that can be judged at one place is judged here.

What takes more than one element is judged by ``check.py`` afterwards.
Source: DTDL v2 and v3 §DTDL element, §Context.
"""

from __future__ import annotations

from armillary.wire.dtdl import tables
from armillary.wire.dtdl.co_types import UNIT_MEMBERS, co_types_of, judge_types
from armillary.wire.dtdl.element import Element, Reference, joined, rule_name, texts_of
from armillary.wire.dtdl.fault import Document, Faults, shown
from armillary.wire.dtdl.json_text import Node, to_value
from armillary.wire.dtdl.member import read_literal
from armillary.wire.dtdl.names import CONTEXT_PREFIX, EXTENSIONS, Context, context_version, is_identifier

_TOP = tables.Member(kind=tables.Kind.ELEMENT, classes=("Interface",))


class ElementReader:
    """Reads documents: every element in their order, and the interfaces at the top of each.

    ``allow_unknown_contexts`` says whether extensions that this program does not know may be in context.
    """

    def __init__(self, faults: Faults, *, allow_unknown_contexts: bool) -> None:
        self._faults = faults
        self._allow_unknown = allow_unknown_contexts
        self.elements: list[Element] = []
        self.by_id: dict[str, Element] = {}
        self.top_level: list[Element] = []
        self.unknown_contexts: set[str] = set()

    def read(self, document: Document, root: Node) -> None:
        """Read the elements of a document: one interface, or an array of them."""
        items = root.value if isinstance(root.value, list) else [root]
        for index, item in enumerate(items):
            path = "" if item is root else f"[{index}]"
            if not isinstance(item.value, dict):
                expected = "an interface or an array of interfaces"
                self._refuse(document, item, path, "RootArrayOrObj", tables.VERSIONS[0], expected, shown(item))
                continue
            context = self._top_context(document, item, item.value, path)
            if context is None:
                continue
            element = self._element(document, item, item.value, path, None, context, _TOP, "TopLevelRootable")
            if element is not None:
                self.top_level.append(element)

    # Contexts -----------------------------------------------------------------------------------------------

    def _top_context(self, document: Document, node: Node, members: dict[str, Node], path: str) -> Context | None:
        held = members.get("@context")
        texts = [] if held is None else texts_of(held) or []
        known = [version for text in texts if (version := context_version(text)) is not None]
        if held is None or not known:
            got = "none" if held is None else ", ".join(texts) or shown(held)
            expected = "@context with " + " or ".join(f"{CONTEXT_PREFIX}{version}" for version in tables.VERSIONS)
            self._refuse(document, held or node, path, "TopLevelDtdlContext", tables.VERSIONS[0], expected, got)
            return None
        return Context(known[-1])

    def _context(self, document: Document, node: Node, path: str, outer: Context) -> Context:
        """The context of an element that has a ``@context`` of its own."""
        texts = texts_of(node)
        if texts is None:
            rule = "ContextArrayAllStrings" if isinstance(node.value, list) else "ContextStringOrArray"
            self._refuse(document, node, path, rule, outer.version, "a string or an array of strings", shown(node))
            return outer
        inner = outer.extended(tuple(texts))
        saw_dtdl = saw_extension = False
        for text in texts:
            if ";" not in text or not is_identifier(text, inner.version):
                expected = "a context, an identifier dtmi:...;N with a version"
                self._refuse(document, node, path, "ContextDtmiWithVersion", inner.version, expected, ascii(text[:80]))
            elif text.startswith(CONTEXT_PREFIX):
                if context_version(text) is None:
                    expected = " or ".join(f"version {version}" for version in tables.VERSIONS) + " of DTDL"
                    self._refuse(document, node, path, "ContextDtdlVersion", inner.version, expected, text)
                if saw_extension:
                    expected = "the context of DTDL before those of extensions"
                    self._refuse(document, node, path, "ContextDtdlPrecedesOrOnly", inner.version, expected, text)
                saw_dtdl = True
            else:
                # In DTDL v2, IoT Central's context may come before the one of DTDL, but not between two of them.
                is_excepted = inner.version == tables.VERSIONS[0] and text == tables.IOT_CENTRAL and not saw_dtdl
                saw_extension = saw_extension or not is_excepted
                self._extension(document, node, path, inner.version, text)
        return inner

    def _extension(self, document: Document, node: Node, path: str, version: int, text: str) -> None:
        if text in EXTENSIONS:
            return
        self.unknown_contexts.add(text)
        if not self._allow_unknown:
            expected = "a known language extension: " + ", ".join(EXTENSIONS)
            self._refuse(document, node, path, "ContextDefinedLanguageExtension", version, expected, text)

    # Elements -----------------------------------------------------------------------------------------------

    def _element(
        self,
        document: Document,
        node: Node,
        members: dict[str, Node],
        path: str,
        parent: Element | None,
        context: Context,
        place: tables.Member,
        rule: str,
    ) -> Element | None:
        """Read an object as one of the elements that may stand in ``place``; None when it is no element at all."""
        held = members.get("@context")
        if held is not None:
            context = self._context(document, held, joined(path, "@context"), context)
        kind, types = self._kind(document, node, members, path, context, place.classes)
        if kind is None:
            return None
        if not _fits(place, kind, context.version, context.version if parent is None else parent.version):
            got = kind if kind not in place.classes else f"{kind} of DTDL v{context.version}"
            self._refuse(document, node, path, rule, context.version, " or ".join(place.classes), got)
        element = Element(kind, context, document, node, path, members)
        element.partition = element if parent is None or kind == "Interface" else parent.partition
        self.elements.append(element)
        self._identify(element)
        informal = judge_types(element, types, self._faults)
        self._members(element, informal=informal)
        return element

    def _kind(
        self,
        document: Document,
        node: Node,
        members: dict[str, Node],
        path: str,
        context: Context,
        allowed: tuple[str, ...],
    ) -> tuple[str | None, list[str]]:
        """Class of an element and the other types it has; None and a fault when it has no class."""
        version, likely = context.version, allowed[0]
        held = members.get("@type")
        if held is None:
            if len(allowed) == 1 and likely in tables.TYPE_IS_OPTIONAL and likely in tables.CLASSES[version]:
                return likely, []
            rule, got = rule_name(likely, "RequiredProperties"), "none"
            self._refuse(document, node, path, rule, version, f"@type with {' or '.join(allowed)}", got)
            return None, []
        texts = texts_of(held)
        if texts is None:
            rule = rule_name(likely, "TypeStringOrArray")
            self._refuse(document, held, path, rule, version, "a string or an array of strings", shown(held))
            return None, []
        kinds = {kind for text in texts if (kind := _class_of(text, version)) is not None}
        if len(kinds) != 1:
            rule, got = rule_name(likely, "TypeIncludesMaterial"), ", ".join(texts) or "none"
            self._refuse(document, held, path, rule, version, f"@type with one of {', '.join(allowed)}", got)
            return None, []
        return kinds.pop(), [text for text in texts if _class_of(text, version) is None]

    def _identify(self, element: Element) -> None:
        held = element.members.get("@id")
        if held is None:
            if element.kind == "Interface":
                element.note(self._faults, element.node, "RequiredProperties", "an @id", "none")
            return
        text = held.value
        if not isinstance(text, str) or not is_identifier(text, element.version):
            rule = "IdNotArray" if isinstance(text, list) else "IdIsDtmi"
            element.note(self._faults, held, rule, "a model identifier dtmi:...;N", shown(held), at="@id")
            return
        limit = tables.MAX_INTERFACE_ID_CHARACTERS if element.kind == "Interface" else tables.MAX_ID_CHARACTERS
        if len(text) > limit:
            element.note(self._faults, held, "IdLong", f"at most {limit} characters", f"{len(text)}", at="@id")
        reserved = element.context.reserved_prefixes
        if text.startswith(reserved):
            expected = "an identifier that does not begin with " + " or ".join(reserved)
            path = element.member_path("@id")
            self._refuse(element.document, held, path, "DtmiReservedPrefixes", element.version, expected, text)
        if text in self.by_id:
            got = f"{text} in {self.by_id[text].document.name} as well"
            element.note(self._faults, held, "IdDuplicate", "each @id once", got, at="@id")
            return
        element.identifier = text
        self.by_id[text] = element

    # Members ------------------------------------------------------------------------------------------------

    def _members(self, element: Element, *, informal: bool) -> None:
        table = tables.CLASSES[element.version][element.kind]
        by_id = {f"dtmi:dtdl:property:{name};{element.version}": name for name in table}
        takes_unit = any(co_type.unit_type is not None for _, co_type in co_types_of(element))
        seen: set[str] = set()
        for key, node in element.members.items():
            name = key if key in table else by_id.get(key)
            if name is not None:
                if name in seen:
                    element.note(self._faults, node, "TermAndDtmi", f"{name} once", "twice", member=name)
                seen.add(name)
                self._member(element, name, table[name], node)
            elif takes_unit and key in UNIT_MEMBERS[element.version]:
                if "unit" in seen:
                    element.note(self._faults, node, "CotypePropertyTermAndDtmi", "unit once", "twice", at="unit")
                seen.add("unit")
            elif key not in ("@context", "@id", "@type"):
                self._other(element, key, node, informal=informal)
        for name, member in table.items():
            if member.is_required and name not in seen:
                element.note(self._faults, element.node, "RequiredProperties", f"a member {name}", "none")

    def _other(self, element: Element, key: str, node: Node, *, informal: bool) -> None:
        """Judge a member that the element's class does not have."""
        version = element.version
        if key.startswith("@"):
            if version > tables.VERSIONS[0] or key == "@graph":
                rule = "GraphKeyword" if version == tables.VERSIONS[0] else "InvalidKeywords"
                element.note(self._faults, node, rule, "only @context, @id and @type", ascii(key[:40]))
            return
        is_strange = ":" in key and not is_identifier(key, version)
        if informal and (version == tables.VERSIONS[0] or not is_strange):
            element.others[key] = to_value(node)
            return
        formally = "" if is_strange and version > tables.VERSIONS[0] else "Formally"
        if is_strange:
            rule = "InvalidDtmi" if key.startswith("dtmi:") else "NotDtmiNorTerm"
        else:
            rule = "IrrelevantDtmiOrTerm" if ":" in key or key in tables.RESERVED[version] else "UndefinedTerm"
        expected = f"members of {element.kind}: {', '.join(sorted(tables.CLASSES[version][element.kind]))}"
        if not element.note(self._faults, node, f"Property{formally}{rule}", expected, ascii(key[:80])):
            element.others[key] = to_value(node)

    def _member(self, element: Element, name: str, member: tables.Member, node: Node) -> None:
        if member.kind not in (tables.Kind.SCHEMA, tables.Kind.ELEMENT, tables.Kind.ELEMENTS):
            read_literal(element, name, member, node, self._faults)
            return
        items = node.value if isinstance(node.value, list) else [node]
        if member.kind is not tables.Kind.ELEMENTS and len(items) != 1 and (items or member.is_required):
            element.note(self._faults, node, "Element", f"one: {member.kind.value}", f"{len(items)}", member=name)
            return
        links = element.links.setdefault(name, [])
        for index, item in enumerate(items):
            path = element.member_path(name) + ("" if item is node else f"[{index}]")
            link = self._link(element, name, member, item, path)
            if link is not None:
                links.append(link)

    def _link(self, element: Element, name: str, member: tables.Member, node: Node, path: str) -> Reference | None:
        if isinstance(node.value, dict):
            rule = element.rule("TypeConformance", name)
            inner = self._element(element.document, node, node.value, path, element, element.context, member, rule)
            if inner is not None and name == "schemas" and "@id" not in inner.members:
                inner.note(self._faults, node, "IdRequired", "an @id, since it is in schemas", "none")
            return None if inner is None else Reference(node, path, element=inner)
        text = node.value
        if isinstance(text, str):
            word = _schema_word(text, element.context) if member.kind is tables.Kind.SCHEMA else None
            if word is not None:
                return Reference(node, path, word=word)
            if is_identifier(text, element.version):
                return Reference(node, path, identifier=text)
        expected = f"{' or '.join(member.classes)}, or the identifier of one"
        if member.kind is tables.Kind.SCHEMA:
            expected = f"{', '.join(tables.PRIMITIVES)}, {expected}"
        rule = element.rule("Element", name)
        self._refuse(element.document, node, path, rule, element.version, expected, shown(node))
        return None

    def _refuse(
        self, document: Document, node: Node, path: str, rule: str, version: int, expected: str, got: str
    ) -> None:
        self._faults.add(document, node, path, rule, version, expected=expected, got=got)


def _fits(place: tables.Member, kind: str, version: int, parent_version: int) -> bool:
    """Whether an element of a class and version of DTDL may stand in a member of another version."""
    if kind not in place.classes or version > parent_version:
        return False
    return version == parent_version or place.takes_older


def _class_of(text: str, version: int) -> str | None:
    prefix, suffix = "dtmi:dtdl:class:", f";{version}"
    name = text[len(prefix) : -len(suffix)] if text.startswith(prefix) and text.endswith(suffix) else text
    return name if name in tables.CLASSES[version] else None


def _schema_word(text: str, context: Context) -> str | None:
    """The standard schema that a text names, by its word or its identifier; None when it names none."""
    families = (
        ("dtmi:dtdl:instance:Schema:", tables.PRIMITIVES),
        ("dtmi:standard:schema:geospatial:", tables.GEOSPATIAL),
    )
    for prefix, words in families:
        if text in words:
            return text
        for version in range(tables.VERSIONS[0], context.version + 1):
            name = text[len(prefix) : -2] if text.startswith(prefix) and text.endswith(f";{version}") else ""
            if name in words:
                return name
    if context.has(tables.IOT_CENTRAL):
        name = text.removeprefix("dtmi:iotcentral:schema:").removesuffix(";2") if ":" in text else text
        return name if name in tables.IOT_CENTRAL_SCHEMAS else None
    return None
