# SPDX-License-Identifier: Apache-2.0
"""Elements of a model as they stand in documents, before the model is judged as a whole and built.

Source: DTDL v2 and v3 §DTDL element.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from armillary.wire.dtdl.fault import Document, Faults
from armillary.wire.dtdl.json_text import Node
from armillary.wire.dtdl.names import Context


@dataclass(slots=True)
class Reference:
    """What a member names: an element, or a schema of the language by its word.

    Attributes:
        node: Where it stands.
        path: The same, for people.
        word: A standard schema (``double``, ``point``, ``vector``); empty for others.
        identifier: DTMI of an element; empty for others.
        element: The element, when it stands there itself or was found.
    """

    node: Node
    path: str
    word: str = ""
    identifier: str = ""
    element: Element | None = None


@dataclass(slots=True, eq=False)
class Element:
    """An element of a model.

    Attributes:
        kind: Its class, e.g. ``Telemetry``.
        context: What holds in it.
        document: Where it stands.
        node: The same.
        path: The same, for people.
        members: Its JSON members.
        partition: The interface or top-level element it belongs to; itself for those.
        identifier: Its ``@id``, or empty.
        types: Types besides its class: semantic, of extensions, undefined.
        literals: Member -> value, of texts, numbers, truth values, choices and texts by language.
        links: Member -> what it names, of elements and schemas.
        unit: Its unit, or None.
        others: Undefined members, as plain JSON; only where an undefined type allows them.
    """

    kind: str
    context: Context
    document: Document
    node: Node
    path: str
    members: dict[str, Node]
    partition: Element | None = None
    identifier: str = ""
    types: tuple[str, ...] = ()
    literals: dict[str, Any] = field(default_factory=dict)
    links: dict[str, list[Reference]] = field(default_factory=dict)
    unit: str | None = None
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """Version of DTDL it is written in."""
        return self.context.version

    def linked(self, member: str) -> list[Element]:
        """The elements that a member names, without those that are missing."""
        return [link.element for link in self.links.get(member, ()) if link.element is not None]

    def rule(self, name: str, member: str = "") -> str:
        """Name of a rule of this element, or of a member of it."""
        return rule_name(self.kind, name, member)

    def member_path(self, member: str) -> str:
        """Path of a member; of the element itself for no name."""
        return joined(self.path, member)

    def note(
        self, faults: Faults, node: Node, rule: str, expected: str, got: str, *, member: str = "", at: str = ""
    ) -> bool:
        """Note a broken rule; False where it is only a warning, because the caller tolerates it.

        Args:
            faults: Where it goes.
            node: Where it is.
            rule: Name of the rule within the class, or within the member.
            expected: What the rule asks for.
            got: What stands there.
            member: Whose rule it is, where it is a member's.
            at: Member to name in the path, where the rule is the class's.
        """
        path = self.member_path(member or at)
        return faults.add(self.document, node, path, self.rule(rule, member), self.version, expected=expected, got=got)


def rule_name(kind: str, name: str, member: str = "") -> str:
    """A rule's name as the specification has it: ``ClassTelemetryPropertyNamePattern``."""
    part = f"Property{member[:1].upper()}{member[1:]}" if member else ""
    return f"Class{kind}{part}{name}"


def joined(path: str, member: str) -> str:
    """Path of a member below a path."""
    if not member:
        return path
    return f"{path}.{member}" if path else member


def texts_of(node: Node) -> list[str] | None:
    """A string or an array of strings; None when it is neither."""
    if isinstance(node.value, str):
        return [node.value]
    if not isinstance(node.value, list):
        return None
    texts = [item.value for item in node.value if isinstance(item.value, str)]
    return texts if len(texts) == len(node.value) else None
