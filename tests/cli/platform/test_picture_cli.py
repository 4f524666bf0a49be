# SPDX-License-Identifier: Apache-2.0
"""``armillary picture``: uploaded by its bytes, listed, deleted unless a dashboard shows it."""

from __future__ import annotations

from pathlib import Path

from tests.api.running_service import RunningService, fresh
from tests.cli.conftest import Command
from tests.wire.picture.drawn import SVG, png

from armillary.wire.picture.picture import MAX_PICTURE_BYTES


def test_a_picture_from_the_command_line(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    catalog, name = service.make_catalog(fresh("C")), fresh("Pump house")
    file = tmp_path / "house.png"  # what it is, its bytes say
    file.write_bytes(SVG.replace(b"<rect", b'<rect onclick="x()"'))
    made = armillary("picture", "upload", str(file), "--name", name, "-c", catalog)
    assert made.code == 0, made.err
    lines = dict(line.split(None, 1) for line in made.out.splitlines())
    picture = lines["id"].strip()
    assert picture.endswith(".svg")
    assert (lines["image"].strip(), lines["removed"].strip()) == (f"uploaded/{picture}", "a handler")
    assert picture in armillary("picture", "list", "-c", catalog).out
    again = armillary("picture", "upload", str(file), "--name", name, "-c", catalog)
    assert (again.code, "Give --replace" in again.err) == (1, True)
    tile = {"id": "logo", "kind": "image", "x": 0, "y": 0, "w": 3, "h": 3, "image": f"uploaded/{picture}", "alt": "A"}
    board = {"name": "Night", "tiles": [tile], "catalog": catalog}
    assert service.call("PUT", f"/api/v1/dashboards/{picture}", board).status == 200
    refused = armillary("picture", "delete", "--picture", picture, "--yes")
    assert (refused.code, 'dashboard "Night"' in refused.err) == (1, True)
    assert armillary("picture", "delete", "--picture", picture, "--force", "--yes").code == 0
    service.call("DELETE", f"/api/v1/dashboards/{picture}")


def test_what_is_no_picture_is_one_error(armillary: Command, tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    for data, words in (
        (b"GIF89a", "expected a PNG, JPEG or SVG file"),
        (png()[:-1], "expected a whole PNG file"),
        (b"x" * (MAX_PICTURE_BYTES + 1), "larger than"),
    ):
        file.write_bytes(data)
        found = armillary("picture", "upload", str(file))
        assert (found.code, words in found.err, found.err.count("hint:")) == (1, True, 1), found.err
    assert armillary("picture", "upload", str(tmp_path / "absent")).code == 1
