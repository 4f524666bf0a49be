# SPDX-License-Identifier: Apache-2.0
"""Pictures over the API: kept clean, shown with a policy, of one catalog, deleted when nobody shows them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.api.running_service import Reply, RunningService, fresh
from tests.wire.picture.drawn import SVG, chunk, jpeg, png

from armillary.platform.authored import pictures

AT = "/api/v1/pictures"


def body(data: bytes, **more: Any) -> dict[str, Any]:
    return {"name": "Pump house", "content": base64.b64encode(data).decode(), **more}


def put(service: RunningService, picture_id: str, data: bytes, *, query: str = "", **more: Any) -> Reply:
    headers, token = more.pop("headers", {}), more.pop("token", "")
    return service.call("PUT", f"{AT}/{picture_id}{query}", body(data, **more), headers=headers, token=token)


@pytest.mark.parametrize(
    ("ending", "data", "media_type"),
    [("png", png(), "image/png"), ("jpg", jpeg(), "image/jpeg"), ("svg", SVG, "image/svg+xml")],
)
def test_a_picture_is_kept_listed_and_shown_with_a_policy_that_lets_it_do_nothing(
    service: RunningService, ending: str, data: bytes, media_type: str
) -> None:
    name = fresh("house").lower() + f".{ending}"
    made = put(service, name, data)
    assert made.status == 200, made.body
    assert made.body["image"] == f"uploaded/{name}"
    assert (made.body["media_type"], made.body["removed"], made.body["catalog"]) == (media_type, [], None)
    listed = {each["id"]: each for each in service.call("GET", AT).body["items"]}
    assert listed[name]["bytes"] in range(len(data), len(data) + 3)
    assert "content" not in listed[name]
    shown = service.call("GET", f"{AT}/{name}/content")
    assert (shown.raw, shown.headers["Content-Type"]) == (data, media_type)
    assert shown.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert service.call("DELETE", f"{AT}/{name}").status == 200
    assert service.call("GET", f"{AT}/{name}/content").status == 404


def test_what_could_do_something_is_left_out_and_said(service: RunningService) -> None:
    name = fresh("sly").lower() + ".svg"
    sly = SVG.replace(b"<rect", b'<script>alert(1)</script><rect onclick="alert(2)"')
    made = put(service, name, sly)
    assert made.body["removed"] == ["a handler", "the element script"]
    assert service.call("GET", f"{AT}/{name}/content").raw == SVG
    audit = service.call("GET", f"/api/v1/audit?target={name}").body["items"]
    assert [each["operation"] for each in audit] == ["picture.put"]
    service.call("DELETE", f"{AT}/{name}")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.png", SVG, "the ending .svg"),
        ("x.exe", png(), "the ending .png"),
        ("x.png", b"GIF89a", "expected a PNG, JPEG or SVG file"),
        ("x.png", png()[:-3], "expected a whole PNG file"),
        ("x.png", b"", "an empty file"),
    ],
)
def test_what_is_no_picture_is_one_clear_error_and_kept_nowhere(
    service: RunningService, name: str, data: bytes, words: str
) -> None:
    refused = put(service, name, data)
    assert (refused.status, words in refused.body["detail"]) == (400, True), refused.body
    assert refused.body["remedy"]
    assert service.call("GET", f"{AT}/{name}").status == 404


def test_what_is_no_base64_or_too_large_is_refused(service: RunningService) -> None:
    for content, words in (("%%%", "expected base64"), ("A" * 699_056, "at most 512 KiB"), (7, "content")):
        refused = service.call("PUT", f"{AT}/x.png", {"name": "x", "content": content})
        assert (refused.status, words in refused.body["detail"]) == (400, True), refused.body


def test_a_picture_that_a_dashboard_shows_is_not_deleted_by_mistake(service: RunningService) -> None:
    name, board = fresh("plan").lower() + ".png", fresh("board").lower()
    put(service, name, png())
    tile = {"id": "logo", "kind": "image", "x": 0, "y": 0, "w": 3, "h": 3, "image": f"uploaded/{name}", "alt": "A plan"}
    assert service.call("PUT", f"/api/v1/dashboards/{board}", {"name": "Water", "tiles": [tile]}).status == 200
    refused = service.call("DELETE", f"{AT}/{name}")
    assert (refused.status, 'dashboard "Water"' in refused.body["detail"]) == (409, True), refused.body
    assert [each["id"] for each in service.call("GET", f"{AT}/{name}/uses").body["items"]] == [board]
    assert service.call("DELETE", f"{AT}/{name}?force=true").status == 200
    with pytest.raises(Exception, match="there is no picture"):
        service.platform.documents.history("picture", name)
    service.call("DELETE", f"/api/v1/dashboards/{board}")


def test_another_catalog_sees_and_changes_nothing(service: RunningService) -> None:
    mine, theirs = (service.make_catalog(fresh("C")) for _ in range(2))
    token, other = service.token_for(mine), service.token_for(theirs)
    name = fresh("mine").lower() + ".png"
    own, foreign = f"?catalog={mine}", f"?catalog={theirs}"
    assert put(service, name, png(), query=own, token=token).body["catalog"] == mine
    assert name in [each["id"] for each in service.call("GET", AT + own, token=token).body["items"]]
    assert name not in [each["id"] for each in service.call("GET", AT + foreign, token=other).body["items"]]
    for more in ("", "/content", "/uses"):
        assert service.call("GET", f"{AT}/{name}{more}{foreign}", token=other).status == 404
    assert service.call("DELETE", f"{AT}/{name}{foreign}", token=other).status == 404
    taken = put(service, name, png(), query=foreign, token=other)
    assert (taken.status, mine in str(taken.body)) == (409, False)
    beyond = put(service, "x.png", png(), query=own, token=token, catalog=theirs)
    assert (beyond.status, "picture.catalog" in beyond.body["detail"]) == (400, True)
    reader = service.token_for(mine, "Reader")
    assert put(service, "x.png", png(), query=own, token=reader).status == 403
    assert service.call("DELETE", f"{AT}/{name}{own}", token=token).status == 200


def test_a_catalog_has_a_bounded_number_of_pictures(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURES", 1)
    catalog = service.make_catalog(fresh("C"))
    token, own, name = service.token_for(catalog), f"?catalog={catalog}", fresh("one").lower()
    assert put(service, f"{name}.png", png(), query=own, token=token).status == 200
    assert put(service, f"{name}.png", png(width=4), query=own, token=token).status == 200, "it may be replaced"
    full = put(service, f"{name}-2.png", png(), query=own, token=token)
    assert (full.status, "there are 1 pictures" in full.body["detail"]) == (409, True)
    service.call("DELETE", f"{AT}/{name}.png")


def test_of_two_who_replace_one_the_second_is_told(service: RunningService) -> None:
    name = fresh("two").lower() + ".png"
    seen = put(service, name, png()).body["etag"]
    assert put(service, name, png(width=4), headers={"If-Match": f'"{seen}"'}).status == 200
    assert put(service, name, png(width=5), headers={"If-Match": f'"{seen}"'}).status == 412
    service.call("DELETE", f"{AT}/{name}")


def test_an_application_as_files_has_its_pictures_and_none_comes_in_that_is_not_clean(service: RunningService) -> None:
    name = fresh("file").lower() + ".svg"
    put(service, name, SVG)
    exported = service.call("GET", "/api/v1/application").body
    path = f"picture/{name}.json"
    kept = json.loads(exported["files"][path])
    manifest = {**exported["manifest"], "kinds": {"picture": 1}}
    assert base64.b64decode(kept["content"]) == SVG

    def bring(data: bytes, **more: Any) -> Reply:
        changed = {**kept, "content": base64.b64encode(data).decode(), **more}
        files = {path: json.dumps(changed)}
        return service.call("POST", "/api/v1/application/import", {"manifest": manifest, "files": files})

    assert bring(SVG).body["steps"][0]["change"] == "same"
    for data, words in (
        (SVG.replace(b"<rect", b"<script>x</script><rect"), "one with the element script"),
        (png(chunk(b"tEXt", b"a")), "one with texts"),
        (png(), "media_type"),
    ):
        refused = bring(data)
        assert (refused.status, words in refused.body["detail"]) == (400, True), refused.body
    service.call("DELETE", f"{AT}/{name}")
