# SPDX-License-Identifier: Apache-2.0
"""A few kilobytes of models that come to millions of parts are refused before anything of that is built."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from armillary.errors import InvalidArgumentError, ModelError
from armillary.twin.template import template as template_of
from armillary.twin.template.json_form import parse_template
from armillary.twin.template.template import MAX_CAPABILITIES
from armillary.wire.dtdl import check as dtdl_check

CONTEXT = "dtmi:dtdl:context;3"
# Of a whole refused import; what is refused would have taken hundreds of megabytes.
MAX_BYTES = 64 << 20


def interface(name: str, **members: Any) -> dict[str, Any]:
    return {"@context": CONTEXT, "@id": f"dtmi:a:{name};1", "@type": "Interface", **members}


def telemetry(name: str, schema: object = "double") -> dict[str, Any]:
    return {"@type": "Telemetry", "name": name, "schema": schema}


def body(*models: dict[str, Any]) -> dict[str, Any]:
    return {"display_name": "x", "root": "dtmi:a:root;1", "models": [list(models)]}


def of_components(components: int, contents: int) -> dict[str, Any]:
    """Components that are all of one interface."""
    parts = [{"@type": "Component", "name": f"c{n}", "schema": "dtmi:a:part;1"} for n in range(components)]
    return body(
        interface("root", contents=parts), interface("part", contents=[telemetry(f"t{n}") for n in range(contents)])
    )


def of_schemas(fields: int, levels: int) -> dict[str, Any]:
    """An object of objects, each named by every field of the one above."""
    schemas = [
        {
            "@id": f"dtmi:a:s{level};1",
            "@type": "Object",
            "fields": [
                {"name": f"f{n}", "schema": f"dtmi:a:s{level + 1};1" if level + 1 < levels else "double"}
                for n in range(fields)
            ],
        }
        for level in range(levels)
    ]
    return body(interface("root", schemas=schemas, contents=[telemetry("t", "dtmi:a:s0;1")]))


def of_heirs(heirs: int, contents: int, fields: int = 0) -> dict[str, Any]:
    """Interfaces that all extend one."""
    inner = {"@type": "Object", "fields": [{"name": f"f{n}", "schema": "double"} for n in range(fields)]}
    root = interface("root", contents=[telemetry(f"t{n}", inner if fields else "double") for n in range(contents)])
    return body(root, *(interface(f"i{n}", extends="dtmi:a:root;1") for n in range(heirs)))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (of_components(1000, 1000), "at most 3,000 capabilities, those of every component counted, got 1,000,000"),
        (of_components(1, MAX_CAPABILITIES + 1), "got 3,001"),
        (of_schemas(30, 5), "at most 30,000 parts of schemas, each counted wherever it is named, got 25,137,931"),
    ],
)
def test_what_models_multiply_is_counted_before_it_is_built(
    document: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_of, "_add", lambda *_: pytest.fail("a capability was built"))
    tracemalloc.start()
    with pytest.raises(InvalidArgumentError, match="models: expected") as refused:
        parse_template(document)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in refused.value.message
    assert "several templates" in refused.value.remedy
    assert most < MAX_BYTES


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (of_heirs(500, 500), "at most 100,000 contents of all interfaces"),
        (of_heirs(500, 1, 3000), "at most 1,000,000 elements of all interfaces"),
    ],
)
def test_what_interfaces_inherit_is_looked_at_so_often_and_no_more(
    document: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    links = dtdl_check._links
    monkeypatch.setattr(dtdl_check, "_links", lambda each: looked.append(1) or links(each))
    with pytest.raises(ModelError) as refused:
        parse_template(document)
    assert words in refused.value.message
    assert refused.value.count == 1, "told once"
    assert len(looked) < 1_200_000


def test_what_a_thousand_components_inherit_of_one_interface_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    contents_of = dtdl_check.contents_of
    monkeypatch.setattr(dtdl_check, "contents_of", lambda each: read.append(each) or contents_of(each))
    template = parse_template(of_components(1000, 3))
    assert len(template.capabilities) == 3000
    assert template.capabilities["c999.t2"].kind == "telemetry"
    assert len(read) < 10


def test_models_of_the_size_that_devices_have_are_taken() -> None:
    assert len(parse_template(of_components(10, 30)).capabilities) == 300
    assert len(parse_template(of_components(1, MAX_CAPABILITIES)).capabilities) == MAX_CAPABILITIES
    assert len(parse_template(of_schemas(5, 5)).capabilities) == 1
    assert len(parse_template(of_heirs(50, 50, 10)).capabilities) == 50
