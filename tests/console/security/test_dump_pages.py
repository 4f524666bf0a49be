# SPDX-License-Identifier: Apache-2.0
"""Crash dumps: consent of a group, one that is read with names and a line in the audit log, deletion, erasing."""

from __future__ import annotations

from tests.console.security_scene import SecurityScene
from tests.fixtures.dumps import dump

from armillary.service.crash_dumps.intake import DumpIntake
from armillary.wire.device.crash_dump import encode_dump

GROUP = "/crash-dump-groups/northwind/Kettles/Field"


def take(scene: SecurityScene, at: int = 1_790_000_000) -> str:
    """A dump that the first device sent; its id."""
    data = encode_dump(dump(image_id=scene.bad, at=at))
    return str(DumpIntake(scene.service.context, scene.service.authority.keys).take(scene.devices[0], data))


def test_a_group_consents_a_dump_is_read_and_all_are_erased(security_scene: SecurityScene) -> None:
    browser, service = security_scene.browser("Contributor"), security_scene.service
    assert "Kettles / Field collects none; 0 dumps" in browser.get(GROUP).text
    assert f'href="{GROUP}"' in browser.get("/device-groups/northwind/Kettles/Field").text
    assert browser.post(GROUP, is_on="on", stacks="full", days="7").status == 303
    found = service.crash_dumps.collection("northwind", "Kettles", "Field")
    assert (found.is_on, found.stacks, found.days) == (True, "full", 7)
    odd = browser.post(GROUP, is_on="on", stacks="full", days="x")
    assert (odd.status, "expected 1 to 366" in odd.text) == (400, True)

    dump_id, other = take(security_scene), take(security_scene, 1_790_000_100)
    here = f"/crash-dumps/{dump_id}"
    page = browser.get("/crash-dumps").text
    assert "2 crash dumps." in page
    assert here in page
    assert "/crash-dumps" in browser.get("/crashes?catalog=northwind").text
    page = browser.get(here).text
    for each in ("SIGSEGV on ", "frame 0", "rip", "libc.so.6", "the whole stack"):
        assert each in page, each
    lines = [each for each in service.audit.list(limit=50).items if each.target == dump_id]
    assert lines[0].actor == "Contributor-token"
    content = browser.get(f"{here}/content.cbor")
    assert content.headers["content-disposition"] == 'attachment; filename="crash-dump.cbor"'
    assert content.body
    assert browser.confirm(f"{here}/delete").status == 303
    assert browser.get(here).status == 404
    assert browser.confirm(f"{GROUP}/erase", word="no").status == 400
    assert browser.confirm(f"{GROUP}/erase", word="erase").status == 303
    assert browser.get(f"/crash-dumps/{other}").status == 404


def test_a_reader_opens_no_dump(security_scene: SecurityScene) -> None:
    dump_id, reader = take_on(security_scene), security_scene.browser("Reader")
    page = reader.get("/crash-dumps").text
    assert dump_id[:8] in page
    assert f'href="/crash-dumps/{dump_id}"' not in page
    for path in (f"/crash-dumps/{dump_id}", f"/crash-dumps/{dump_id}/content.cbor", f"{GROUP}/erase"):
        assert reader.get(path).status == 403, path
    assert "Erase all" not in reader.get(GROUP).text


def take_on(scene: SecurityScene) -> str:
    """A dump of a group that collects them."""
    named = {"is_on": True, "stacks": "full", "days": 29}
    scene.service.crash_dumps.collect("northwind", "Kettles", "Field", actor="test", **named)
    return take(scene)
