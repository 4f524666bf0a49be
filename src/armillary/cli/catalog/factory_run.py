# SPDX-License-Identifier: Apache-2.0
"""A factory run: manufactures many devices into one folder, which records at any moment which of them are made.

::

    run.json            with which options the run began; a run goes on with these only
    journal.jsonl       one line a made device, durable before the next is begun: the truth about the run
    devices/000001/     the device's folder (``device/state/layout.py``), ready to boot
    labels/000001.svg   its id as a QR code
    devices.csv         the journal for spreadsheets; replaced whole, so it is never half written
    lock                held by the process that runs

Killed anywhere, the same command goes on: a torn last line of the journal is dropped, a device that was made and not
noted is noted, and one that was half made is continued with the key it has, so the service never sees a second one.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from armillary.device.boot.provision import Factory, provision
from armillary.device.state.configuration import DeviceConfiguration, load_configuration
from armillary.device.state.layout import DeviceFolder, replace_file
from armillary.engines.flash.file import FileFlash
from armillary.errors import DataFolderError, DataFolderInUseError
from armillary.identity.manufacturing import ManufacturingState

JOURNAL: Final = "journal.jsonl"
TABLE: Final = "devices.csv"
MAX_DEVICES: Final = 999_999  # six digits of a device's number in the names of files
QR_ERROR_LEVEL: Final = "m"  # 15% of the label may be scratched: ISO/IEC 18004
MODULE_PX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What all devices of a run have in common.

    ``sandbox`` is the engine of their applications, ``state`` Azure Sphere's name of the manufacturing state,
    ``service`` the address of the operator API.
    """

    chip: str
    sandbox: str
    state: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeDevice:
    """A line of the journal; ``number`` is 1 for the first device of the run, ``made_at`` Unix seconds."""

    number: int
    device_id: str
    chip: str
    manufacturing_state: str
    os_version: str
    made_at: int


class FactoryRun:
    """One run in ``folder``; use :func:`open_run`."""

    def __init__(self, folder: Path, options: RunOptions, made: dict[int, MadeDevice]) -> None:
        self.folder = folder
        self.options = options
        self.made = made

    def missing(self, count: int) -> list[int]:
        """Numbers of a run of ``count`` devices that are not made."""
        return [number for number in range(1, count + 1) if number not in self.made]

    def make(self, number: int, factory: Factory, *, now: Callable[[], float], labels: bool) -> MadeDevice:
        """Make one device, or go on with it, and note it durably.

        Raises:
            ServiceUnreachableError: the service does not answer; the same call goes on later.
            DataFolderError: the disk refuses.
        """
        place = DeviceFolder(self.folder / "devices" / f"{number:06}")
        configuration = self._finished(place) or provision(
            place,
            chip=self.options.chip,
            root_of_trust="software",
            sandbox=self.options.sandbox,
            operator_api=self.options.service,
            factory=factory,
            state=ManufacturingState(self.options.state),
        )
        if labels:
            self._label(number, configuration.device_id)
        device = MadeDevice(
            number=number,
            device_id=configuration.device_id,
            chip=configuration.chip,
            manufacturing_state=self.options.state,
            os_version=configuration.os_version,
            made_at=int(now()),
        )
        with _explained(self.folder / JOURNAL), (self.folder / JOURNAL).open("ab") as journal:
            journal.write(json.dumps(asdict(device)).encode("ascii") + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.made[number] = device
        return device

    def write_table(self) -> Path:
        """The CSV of all devices made so far, replaced whole."""
        text = io.StringIO()
        columns = [*MadeDevice.__dataclass_fields__, "folder", "label"]
        table = csv.DictWriter(text, columns, lineterminator="\r\n")  # RFC 4180 §2
        table.writeheader()
        for number, device in sorted(self.made.items()):
            label = f"labels/{number:06}.svg"
            has_label = (self.folder / label).exists()
            table.writerow({**asdict(device), "folder": f"devices/{number:06}", "label": label if has_label else ""})
        path = self.folder / TABLE
        with _explained(path):
            replace_file(path, text.getvalue().encode("utf-8"), mode=0o644)
        return path

    def _finished(self, place: DeviceFolder) -> DeviceConfiguration | None:
        """The device that was made and not noted, if there is one."""
        if not (place.root / "layout.json").exists():
            return None
        return load_configuration(FileFlash(place.flash))

    def _label(self, number: int, device_id: str) -> None:
        import segno  # noqa: PLC0415 - only a factory run draws labels

        drawn = io.BytesIO()
        # Upper case: QR codes have a compact form for these characters, and device ids are compared without case.
        segno.make(device_id.upper(), error=QR_ERROR_LEVEL, micro=False).save(
            drawn, kind="svg", scale=MODULE_PX, title=f"Device {device_id[:16]}", xmldecl=False
        )
        path = self.folder / "labels" / f"{number:06}.svg"
        with _explained(path):
            replace_file(path, drawn.getvalue(), mode=0o644)


@contextlib.contextmanager
def open_run(folder: Path, options: RunOptions) -> Iterator[FactoryRun]:
    """Begin a run in an empty folder, or go on with the one in it; no other process can meanwhile.

    Raises:
        DataFolderError: the folder holds something else, a run with other options, or a journal that is not whole.
        DataFolderInUseError: another process runs it.
    """
    with _explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderInUseError(f"{folder}: another process runs this factory run") from error
        _check_options(folder, options)
        yield FactoryRun(folder, options, _read_journal(folder / JOURNAL, options))
    finally:
        os.close(descriptor)


def _check_options(folder: Path, options: RunOptions) -> None:
    path = folder / "run.json"
    wanted = asdict(options)
    try:
        begun = json.loads(path.read_bytes())
    except FileNotFoundError:
        if any(one.name != "lock" and not one.name.startswith(".") for one in folder.iterdir()):
            raise DataFolderError(
                f"{folder}: expected an empty folder or a factory run", remedy="Choose another --output-directory."
            ) from None
        with _explained(path):
            replace_file(path, json.dumps(wanted).encode("ascii"), mode=0o600)
        return
    except ValueError as error:
        raise DataFolderError(f"{path}: damaged ({error})", remedy="Choose another --output-directory.") from error
    if not isinstance(begun, Mapping):
        raise DataFolderError(f"{path}: damaged (expected an object)", remedy="Choose another --output-directory.")
    different = [name for name, value in wanted.items() if begun.get(name) != value]
    if different:
        raise DataFolderError(
            f"{folder}: this run began with {', '.join(f'{name}={begun.get(name)!r}' for name in different)}",
            remedy="Go on with the same options, or choose another --output.",
        )


def _read_journal(path: Path, options: RunOptions) -> dict[int, MadeDevice]:
    """Devices of the journal; what a cut left after the last line end is dropped from the file too."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with _explained(path):
            os.truncate(path, len(whole))
    made: dict[int, MadeDevice] = {}
    lines = whole.splitlines()
    for place, line in enumerate(lines, 1):
        try:
            device = MadeDevice(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise DataFolderError(
                f"{path}: line {place} is damaged ({error})", remedy="Restore the journal; the devices are not changed."
            ) from error
        made[device.number] = device
    if not len({device.device_id for device in made.values()}) == len(made) == len(lines) or any(
        device.chip != options.chip for device in made.values()
    ):
        raise DataFolderError(
            f"{path}: two lines have one device or number, or a line is of another run", remedy="Restore the journal."
        )
    return made


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFolderError(
            f"{path}: {error.strerror or error}",
            remedy="Give it room and permissions, then give the same command again: it goes on.",
        ) from error
