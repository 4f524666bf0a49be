# SPDX-License-Identifier: Apache-2.0
"""What an application gets of files and clocks without a capability: nothing; each beside the same with it."""

from __future__ import annotations

from pathlib import Path

from tests.engines.sandbox.conftest import sandbox, stage
from tests.engines.sandbox.sandbox_stage import Stage

from armillary.engines.sandbox.port import Sandbox

__all__ = ["sandbox", "stage"]

READ_KEY = """
import os
places = [os.environ["KEY"], "/run/armillary/daa/key.pem"]
if "ARMILLARY_DEVICE_AUTHENTICATION" in os.environ:
    places = [os.environ["ARMILLARY_DEVICE_AUTHENTICATION"] + "/key.pem"]
for place in places:
    try:
        print(open(place).read())
    except OSError:
        print("refused")
"""


def test_the_devices_certificate_is_out_of_reach(stage: Stage, sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "daa"
    folder.mkdir()
    (folder / "key.pem").write_bytes(b"key")
    where = {"KEY": str(folder / "key.pem")}
    outcome = stage.run(sandbox, READ_KEY, device_authentication=folder, environment=where)
    assert outcome.lines == ["key"], outcome.errors  # the control
    assert stage.run(sandbox, READ_KEY, environment=where).lines == ["refused", "refused"]


KEEP = """
import os
folder = os.environ.get("ARMILLARY_DATA", os.environ["TMPDIR"])
print("ARMILLARY_DATA" in os.environ, sorted(os.listdir(folder)))
open(os.path.join(folder, "kept"), "w").close()
"""


def test_nothing_that_is_written_stays(stage: Stage, sandbox: Sandbox, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with_it = [stage.run(sandbox, KEEP, data=data).lines for _ in range(2)]
    assert with_it == [["True []"], ["True ['kept']"]]  # the control
    without = [stage.run(sandbox, KEEP).lines for _ in range(2)]
    assert without == [["False []"], ["False []"]]


SET_ADDRESS = """
import errno, fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    for request in ({read:#x}, {set:#x}):
        try:
            fcntl.ioctl(any_socket, request, struct.pack("16sH14s", b"lo", 1, bytes(14)))
            print("done")
        except OSError as error:
            print(errno.errorcode[error.errno])
"""


def test_no_address_of_an_interface_is_set(stage: Stage, sandbox: Sandbox) -> None:
    """SIOCGIFHWADDR and SIOCSIFHWADDR (netdevice(7)); FIONREAD is the control that the socket answers."""
    asked = SET_ADDRESS.format(read=0x8927, set=0x8924)
    assert stage.run(sandbox, asked).lines == ["EPERM", "EPERM"]
    control = SET_ADDRESS.format(read=0x541B, set=0x5421)
    assert stage.run(sandbox, control).lines == ["done", "done"]
