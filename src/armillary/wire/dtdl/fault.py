# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a model: every fault at once, each with its document, line, element and rule; bounded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from armillary.errors import ModelError
from armillary.wire.dtdl.json_text import Node, line_of

# Faults that are kept; more are only counted. A person mends a few and looks again.
MAX_FAULTS = 100

# Longest path and value quoted, characters.
_MAX_QUOTED = 120


# Ending of a rule's name -> what to do about it; the first that fits counts.
REMEDIES: tuple[tuple[str, str], ...] = (
    ("UniqueAmongInterfaceContents", "Give one of the two another name."),
    ("UniqueAmongEnumEnumValues", "Give one of the two another name and value."),
    ("NamePattern", "Begin with a letter; then letters, digits and underscores, no underscore last."),
    ("RequiredProperties", "Add what is missing."),
    ("CotypePropertyPresent", "Add a unit of that semantic type, or take the semantic type away."),
    ("CotypePropertyValueMatchesCotype", "Choose a unit of that semantic type."),
    ("CotypePropertyValueFromTable", "Choose a unit of that semantic type."),
    ("CotypeRequiresPropertySchemaValue", "Choose a schema that the type takes, or take the type away."),
    ("MultipleSemanticTypes", "Keep one of the semantic types."),
    ("TypeIncludesUndefinedTerm", "Correct the type, or name the extension that has it in @context."),
    ("UndefinedTerm", "Correct the name, or take the member away; extensions have to be in @context."),
    ("SchemaElement", "Choose one of these words, or write the schema out as an object."),
    ("IdRequired", 'Give the interface an identifier: "@id": "dtmi:com:example:Thermostat;1".'),
    ("IdIsDtmi", "Write an identifier as dtmi:com:example:Thermostat;1."),
    ("IdDuplicate", "Give one of the two another identifier."),
    ("ContextDtdlVersion", 'Begin the document with "@context": "dtmi:dtdl:context;2".'),
    ("TopLevelDtdlContext", 'Begin the document with "@context": "dtmi:dtdl:context;2".'),
    ("DependentReference", "Add the document that defines it, or correct the identifier."),
    ("StringLength", "Write less."),
    ("TextLength", "Write less."),
)
OTHERWISE = "Correct the element; docs/reference/dtdl.md lists what is checked."


def remedy_of(rule: str) -> str:
    """What to do about a broken rule."""
    return next((remedy for ending, remedy in REMEDIES if rule.endswith(ending)), OTHERWISE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that is broken."""

    document: str  # its name
    line: int  # line in it, from 1; 0 where the document is no text
    path: str  # of the element, such as ``contents[2].schema``; empty for the whole document
    rule: str  # its name in the language specification of ``version``; it begins with the element's class
    version: int  # of DTDL
    expected: str  # what the rule asks for
    got: str  # what stands there

    @property
    def place(self) -> str:
        """Document, line and element."""
        line = f", line {self.line}" if self.line else ""
        return f"{self.document}{line}" + (f", {self.path}" if self.path else "")

    @property
    def reason(self) -> str:
        """What is wrong, and the rule."""
        return f"expected {self.expected}, got {self.got} (DTDL v{self.version}, {self.rule})"


@dataclass(slots=True)
class Document:
    """A document under examination. ``text`` is empty for one that came as decoded JSON."""

    name: str
    text: str = ""


# Rules that documents of IoT Central break and IoT Central let pass: units that do not fit their semantic type, and
# members (``decimalPlaces``, ``displayUnit``) on elements without an undefined type.
HABITS = ("CotypePropertyValueMatchesCotype", "CotypePropertyValueFromTable", "PropertyFormallyUndefinedTerm")


@dataclass(slots=True)
class Faults:
    """Gathers faults."""

    tolerated: tuple[str, ...] = ()  # endings of the names of rules that only lead to warnings
    kept: list[Fault] = field(default_factory=list)  # the first MAX_FAULTS
    count: int = 0  # those that were not kept as well
    warnings: list[Fault] = field(default_factory=list)  # broken tolerated rules, the first MAX_FAULTS

    def raise_any(self) -> None:
        """Raise ModelError if a fault was noted."""
        if self.kept:
            raise ModelError(
                [(fault.place, fault.reason) for fault in self.kept],
                count=self.count,
                details=[{**asdict(fault), "remedy": remedy_of(fault.rule)} for fault in self.kept],
            )

    def add(
        self, document: Document, node: Node | None, path: str, rule: str, version: int, *, expected: str, got: str
    ) -> bool:
        """Note a broken rule at ``node``; False where it is only a warning, because the caller tolerates it."""
        is_tolerated = rule.endswith(self.tolerated) if self.tolerated else False
        kept = self.warnings if is_tolerated else self.kept
        if not is_tolerated:
            self.count += 1
        if len(kept) < MAX_FAULTS:
            line = line_of(document.text, node.start) if node is not None and document.text else 0
            kept.append(Fault(document.name, line, clipped(path), rule, version, expected, clipped(got)))
        return not is_tolerated


def clipped(text: str) -> str:
    """The beginning of a text, as much as an error message may quote."""
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…"


def shown(node: Node) -> str:
    """A JSON value as a message names it."""
    value = node.value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return ascii(value[:_MAX_QUOTED])
    if isinstance(value, (int, float)):
        return str(value)
    return "an object" if hasattr(value, "keys") else f"an array of {len(value)}"
