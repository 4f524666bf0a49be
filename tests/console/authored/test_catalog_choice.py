# SPDX-License-Identifier: Apache-2.0
"""Nobody makes a rule, group, job or export of all catalogs by leaving a field alone."""

from __future__ import annotations

import re
import uuid

import pytest
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import HubScene

from armillary.console.authored.catalog_choice import ALL, catalog_field, with_catalog

FORMS = {
    "rules": ("/rules/new", {"severity": "low", "match": "all", "name_0": "temperature", "op_0": ">", "value_0": "5"}),
    "groups": ("/groups/new/form", {"match": "all"}),
    "jobs": ("/jobs/new/form", {"variant": "command", "action.command": "defrost"}),
    "exports": ("/exports/new/form", {"variant": "file", "source": "telemetry", "from": "now"}),
}


@pytest.mark.parametrize(
    ("names", "catalog", "is_new", "value"),
    [
        ([], None, True, ALL), (["a"], None, True, "a"), (["a", "b"], None, True, ""), (["a", "b"], "b", True, "b"),
        (["a"], None, False, ALL), (["a", "b"], None, False, ALL), (["a"], "gone", False, "gone"),
    ],
)  # fmt: skip
def test_what_is_chosen_at_first(names: list[str], catalog: str | None, is_new: bool, value: str):
    field = catalog_field({"catalog": catalog}, [*names, ALL], is_new=is_new)
    assert (field.value, field.required) == (value, True)
    assert {*names, ALL, value} == {each for each, _ in field.choices}


def test_who_speaks_for_one_catalog_is_offered_no_other():
    field = catalog_field({}, ["a"], is_new=True)
    assert (field.value, field.choices) == ("a", (("a", "a"),))


def test_a_document_that_is_there_keeps_its_catalog_unless_told():
    assert with_catalog({"catalog": "a"}, {}, is_new=False) == {"catalog": "a"}
    assert with_catalog({"catalog": "a"}, {"catalog": ALL}, is_new=False) == {}
    assert with_catalog({}, {"catalog": "b"}, is_new=False) == {"catalog": "b"}


@pytest.mark.parametrize("kind", FORMS)
def test_a_new_one_says_its_catalog_and_is_shown_with_it(hub_scene: HubScene, kind: str):
    look, (path, fields) = hub_scene.browser(), FORMS[kind]
    name = f"c{uuid.uuid4().hex[:8]}"
    hub_scene.call("PUT", "/groups/every", {"name": "Every"})
    form = look.get(path.removesuffix("/form")).text
    chosen = re.search(r'<select name="catalog" required[^>]*>(.*?)</select>', form, re.DOTALL)
    assert chosen is not None
    catalogs = sorted(each.name for each in hub_scene.running.service.registry.catalogs.list())  # other tests make some
    assert {"contoso", "northwind"} <= set(catalogs)
    assert re.findall(r'value="([^"]*)"', chosen[1]) == ["", *catalogs, ALL]
    sent = {"name": name, **fields, **({"group": "every"} if kind == "jobs" else {})}
    refused = look.post(path, **sent)
    assert (refused.status, "Catalog: expected a choice" in said(refused.text)) == (400, True)
    assert hub_scene.running.call("GET", f"/api/v1/{kind}/{name}").status == 404
    assert look.post(path, **sent, catalog="northwind").headers["location"] == f"/{kind}/{name}?told=created"
    assert hub_scene.call("GET", f"/{kind}/{name}")["body"]["catalog"] == "northwind"
    assert "Catalog northwind" in said(look.get(f"/{kind}/{name}").text)
    assert re.search(rf"{name}.*? northwind ", said(look.get(f"/{kind}").text))
    every = {**sent, "name": f"{name} all"}
    assert look.post(path, **every, catalog=ALL).status == 303
    assert hub_scene.call("GET", f"/{kind}/{name}-all")["body"].get("catalog") is None
    assert "Catalog All catalogs" in said(look.get(f"/{kind}/{name}-all").text)
