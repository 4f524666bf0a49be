# SPDX-License-Identifier: Apache-2.0
"""A radio that wpa_supplicant drives (Debian's package ``wpasupplicant``, a process beside the device).

The device's own records are the truth: wpa_supplicant has no file of networks. It is told of them over its control
socket whenever it starts and whenever they change, so a wpa_supplicant that ended is started again and knows them all.
Certificates are files while it runs, in a folder that only this user enters; on a device image that is memory.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Final

from armillary.engines.wifi.control import ControlSocket
from armillary.engines.wifi.failures import Attempts
from armillary.engines.wifi.port import Connection, Failure, Listener
from armillary.engines.wifi.power_saving import save_power
from armillary.engines.wifi.program import SupplicantProgram
from armillary.errors import HostError, InvalidArgumentError, WireError
from armillary.wire.wifi.events import (
    CertificateRefused,
    Connected,
    Disconnected,
    Ended,
    Event,
    GivenUp,
    Scanned,
    parse_event,
)
from armillary.wire.wifi.network import Network, words_of
from armillary.wire.wifi.replies import (
    ACCESS_POINT_MASK,
    COMPLETED,
    FAILED,
    IDS_MASK,
    Neighbour,
    parse_ids,
    parse_neighbour,
    parse_number,
    parse_status,
    strongest_first,
)

MODE: Final = "station"
# A look at all channels of both bands takes some seconds; radios that are busy take longer.
SCAN_S: Final = 20.0
# Until wpa_supplicant is started again after it ended: it may end each time at once.
START_AGAIN_S: Final = 5.0
_WAIT_S: Final = 1.0


class SupplicantRadio:
    """One radio of this machine.

    Raises:
        HostError: wpa_supplicant is missing or does not start.
    """

    def __init__(self, program: SupplicantProgram) -> None:
        self.interface = program.interface
        self.mode = MODE
        self._program = program
        self._lock = threading.RLock()  # one command after another, and what was told of networks with them
        self._networks: tuple[Network, ...] = ()
        self._numbers: dict[int, int] = {}  # id of a network -> wpa_supplicant's
        self._told: dict[int, Network] = {}  # what it was told of each
        self._saves_power = False
        self._attempts = Attempts()
        self._listeners: list[Listener] = []
        self._scanned, self._scan_failed = threading.Event(), False
        self._closing = threading.Event()
        begun: Future[ControlSocket] = Future()
        self._thread = threading.Thread(target=self._live, args=(begun,), name="wifi", daemon=True)
        self._thread.start()
        self._control = begun.result()

    @property
    def hardware_address(self) -> str:
        """Six bytes in hex with colons."""
        return self._status().get("address", "")

    def listen(self, listener: Listener) -> None:
        """Have this told from now on, in a thread of the radio's."""
        self._listeners.append(listener)

    def use(self, networks: Sequence[Network], *, saves_power: bool) -> None:
        """Be in one of these networks and in no other; what is known already and as it was stays joined.

        A wpa_supplicant that does not answer is ended: nobody knows what it has done of it, and does yet. It is started
        again, and told of all of them then.
        """
        with self._lock:
            self._networks, self._saves_power = tuple(networks), saves_power
            try:
                self._tell_networks()
            except HostError as error:
                self._program.stop()
                raise HostError(
                    error.message, remedy="wpa_supplicant is started again, and told of all networks."
                ) from error
            with contextlib.suppress(HostError):  # a radio that cannot sleep is used as it is
                save_power(self.interface, wanted=saves_power)

    def reload(self) -> None:
        """Forget failures and join again."""
        with self._lock:
            self._told.clear()
            self.use(self._networks, saves_power=self._saves_power)

    def connection(self) -> Connection | None:
        """The network that it is in now."""
        found = self._status()
        ids = self._ids()
        if found["wpa_state"] != COMPLETED or not found.get("id", "").isdigit() or int(found["id"]) not in ids:
            return None
        return Connection(
            network=ids[int(found["id"])],
            bssid=found.get("bssid", ""),
            frequency=parse_number(found.get("freq", "0")),
            address=found.get("ip_address", ""),
        )

    def scan(self) -> tuple[Neighbour, ...]:
        """Look around and say who is there; HostError if the radio does not look."""
        self._scanned.clear()
        reply = self._control.ask("SCAN")
        if reply not in ("OK", "FAIL-BUSY"):
            raise HostError(f"{self.interface} does not scan: {reply:.80}", remedy="Ask again in some seconds.")
        if not self._scanned.wait(SCAN_S) or self._scan_failed:
            raise HostError(f"{self.interface} has not looked around in {SCAN_S:g} s", remedy="Ask again.")
        return self._around()

    def failures(self) -> Mapping[int, Failure]:
        """Why it is not in a network that it may be in, by the network's id; nothing of those it has not tried yet."""
        present = self.connection()
        waiting = [each for each in self._networks if present is None or each.id != present.network]
        return self._attempts.failures(waiting, self._around(), is_idle=present is None)

    def close(self) -> None:
        """Leave every network and end wpa_supplicant."""
        self._closing.set()
        self._program.stop()
        self._thread.join(START_AGAIN_S + _WAIT_S)
        self._control.close()
        self._program.clear()

    def _started(self) -> ControlSocket:
        self._program.start()
        return ControlSocket(self._program.control, self.interface)

    def _tell_networks(self) -> None:
        """Have wpa_supplicant know the networks, and no others."""
        kept = {network.id for network in self._networks if self._told.get(network.id) == network}
        for network_id in [each for each in self._numbers if each not in kept]:
            self._forget(network_id)
        for network in self._networks:
            if network.id not in self._numbers:
                self._add(network)

    def _add(self, network: Network) -> None:
        """Tell wpa_supplicant of a network; a network that it does not take is a failure of that network alone."""
        with _read_as("ADD_NETWORK"):
            number = self._numbers[network.id] = parse_number(self._control.ask("ADD_NETWORK"))
        try:
            files = self._program.write_files(network)
        except OSError:  # no room for them: it is told anew with the next change
            self._attempts.refused(network.id)
            return
        try:
            for word, value in words_of(network, files):
                self._control.order(f"SET_NETWORK {number} {word} {value}", shown=f"the network's {word}")
            self._control.order(f"ENABLE_NETWORK {number}")
        except InvalidArgumentError:
            self._attempts.refused(network.id)
        self._told[network.id] = network

    def _forget(self, network: int) -> None:
        self._told.pop(network, None)
        self._control.ask(f"REMOVE_NETWORK {self._numbers[network]}")
        del self._numbers[network]
        self._program.remove_files(network)
        self._attempts.forget(network)

    def _ids(self) -> dict[int, int]:
        """wpa_supplicant's number of a network -> its id."""
        with self._lock:
            return {number: network for network, number in self._numbers.items()}

    def _status(self) -> Mapping[str, str]:
        with _read_as("STATUS"):
            return parse_status(self._control.ask("STATUS"))

    def _around(self) -> tuple[Neighbour, ...]:
        """Who is around. One by one: a reply ends at 4 KiB, and what does not fit is left out, loud names first."""
        found = []
        with _read_as("BSS"):
            for number in self._numbers_around():
                reply = self._control.ask(f"BSS ID-{number} MASK={ACCESS_POINT_MASK:#x}")
                if reply and not reply.startswith(FAILED):  # else it has gone meanwhile
                    found.append(parse_neighbour(reply))
        return strongest_first(found)

    def _numbers_around(self) -> Iterator[int]:
        """wpa_supplicant's ids of who is around, as many as fit into a reply at a time."""
        begin = 0
        while ids := parse_ids(self._control.ask(f"BSS RANGE={begin}- MASK={IDS_MASK:#x}"), least=begin):
            yield from ids
            begin = ids[-1] + 1

    def _live(self, begun: Future[ControlSocket]) -> None:
        """The radio's thread: every wpa_supplicant is started in it, because each ends with the thread that did it."""
        try:
            control = self._started()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            begun.set_exception(error)
            return
        events = None
        with contextlib.suppress(
            HostError, InvalidArgumentError
        ):  # it is started again, as whenever it does not answer
            events = self._attached()  # before anybody asks for a scan, whose end would not be heard
        begun.set_result(control)
        self._hear(events)

    def _hear(self, events: ControlSocket | None) -> None:
        """Follow what wpa_supplicant says by itself; start it again when it ends."""
        while not self._closing.is_set():
            try:
                events = events or self._attached()
            except (HostError, InvalidArgumentError):
                self._start_again()
                continue
            message = events.heard(_WAIT_S)
            event = None if message is None else parse_event(message)
            if isinstance(event, Ended) or not self._program.is_running:
                events.close()
                events = None
                self._start_again()
            elif event is not None:
                self._on_event(event)
        if events is not None:
            events.close()

    def _attached(self) -> ControlSocket:
        events = ControlSocket(self._program.control, self.interface)
        events.order("ATTACH")
        return events

    def _start_again(self) -> None:
        """Start a wpa_supplicant that ended, and tell it all it has to know; it is tried again if that fails."""
        if self._closing.wait(START_AGAIN_S):
            return
        with self._lock:
            self._program.stop()
            self._control.close()
            self._numbers.clear()
            self._told.clear()
            try:
                self._control = self._started()
                self.use(self._networks, saves_power=self._saves_power)
            except HostError:
                self._program.stop()  # one that was not told of every network would be believed to know them

    def _on_event(self, event: Event) -> None:
        ids = self._ids()
        if isinstance(event, Scanned):
            if not event.failed:
                self._attempts.looked_around()
            self._scan_failed = event.failed
            self._scanned.set()
        elif isinstance(event, GivenUp) and event.network in ids:
            self._attempts.gave_up(ids[event.network], event)
        elif isinstance(event, CertificateRefused):
            self._attempts.refused_certificate(event)
        elif isinstance(event, Connected) and event.network in ids:
            self._attempts.joined(ids[event.network])
            self._tell(ids[event.network])
        elif isinstance(event, Disconnected):
            self._tell(None)

    def _tell(self, network: int | None) -> None:
        for each in self._listeners:
            each(network)


@contextlib.contextmanager
def _read_as(what: str) -> Iterator[None]:
    """WireError as what it means here."""
    try:
        yield
    except WireError as error:
        raise HostError(
            f"wpa_supplicant answers {what} in another form: {error.message}", remedy="Take 2.10."
        ) from error
