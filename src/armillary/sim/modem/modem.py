# SPDX-License-Identifier: Apache-2.0
"""The simulated modem's AT commands: bytes in, bytes out. No clock and no line: ``serving`` has them.

Commands and answers are those of 3GPP TS 27.007 V17 and ITU-T V.250 (+CFUN, +CPIN, +CREG, +COPS and so on); what is not
in the table is answered as any modem answers what it does not know.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from armillary.sim.modem.radio import PIN_TRIES, PUK_TRIES, Radio
from armillary.sim.modem.script import check_changes

MAKER: Final = "Armillary"
MODEL: Final = "simulated modem"  # it says that it is one
REVISION: Final = "simulated 1"
IMEI: Final = "001017000000016"  # of a test network's range; the last digit is the check digit
IMSI: Final = "001010000000001"
ICCID: Final = "8988211000000000005"
MAX_COMMAND_BYTES: Final = 2048
CONTEXTS: Final = range(1, 17)
NOT_ALLOWED, NOT_SUPPORTED, SIM_MISSING, PIN_WANTED, PUK_WANTED, WRONG = 3, 4, 10, 11, 12, 16
NO_NETWORK, BAD_PARAMETER, NO_SERVICE, NOT_SUBSCRIBED = 30, 50, 107, 133
_TEXTS: Final[Mapping[int, str]] = {
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    16: "incorrect password",
    30: "no network service",
    50: "incorrect parameters",
    107: "GPRS services not allowed",
    133: "requested service option not subscribed",
}
_EXTENDED: Final = re.compile(r"\+([A-Z0-9]+)(?:(=\?)|(\?)|=(.*))?")
_WITHOUT_SIM: Final = frozenset(
    ("CGMI", "CGMM", "CGMR", "CGSN", "GMI", "GMM", "GMR", "GCAP", "CMEE", "CPIN", "CFUN", "CSCS")
)
_REGISTERS: Final = ("CREG", "CGREG", "CEREG")


class CommandError(Exception):
    """A command fails with this number of +CME ERROR."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class SimulatedModem:
    """One modem; ``session_changed`` is called with whether its data session is up, each time that changes."""

    def __init__(self, radio: Radio | None = None, session_changed: Callable[[bool], None] | None = None) -> None:
        self.radio = radio or Radio()
        self.is_session_up = False
        self.is_attached = False
        self.pin_tries = PIN_TRIES
        self.puk_tries = PUK_TRIES
        self._session_changed = session_changed or (lambda _: None)
        self._echoes = True
        self._errors = 0  # +CMEE: 0 plain, 1 numbers, 2 texts
        self._tells = dict.fromkeys(_REGISTERS, 0)
        self._tells_events = False
        self._is_unlocked = False
        self._names = 0  # form of +COPS?: 0 long, 2 numbers
        self._contexts: dict[int, str] = {}
        self._line = bytearray()

    def receive(self, data: bytes) -> bytes:
        """What it answers to these bytes of the line; nothing while a command is not complete."""
        said = bytearray()
        for byte in data:
            if byte in b"\r\n":
                line, echo = bytes(self._line), bytes(self._line) + b"\r"
                self._line.clear()
                if line.strip():
                    said += (echo if self._echoes else b"") + self._answer(line)
            elif len(self._line) < MAX_COMMAND_BYTES:
                self._line.append(byte)
        if self.radio.is_silent:
            return b""
        return b"\x00\xfe~garbage\xff" + bytes(said) if said and self.radio.is_garbled else bytes(said)

    def change(self, **changes: Any) -> bytes:
        """Change what is around it; what it says about that unasked. InvalidArgumentError."""
        check_changes(changes)
        had_sim, before = self.radio.has_sim, self.radio.status
        for name, value in changes.items():
            setattr(self.radio, name, value)
        said = b""
        if had_sim and not self.radio.has_sim:
            self._is_unlocked = False
            self._end_session()
            self.is_attached = False
            said += _line("+CPIN: NOT INSERTED")
        elif self.radio.has_sim and not had_sim:
            said += _line(f"+CPIN: {'SIM PIN' if self._wants_pin else 'READY'}")
        if self.radio.status != before:
            said += self._registration_changed()
        return said

    def drop_session(self) -> bytes:
        """The network ends the session."""
        if not self.is_session_up:
            return b""
        self._end_session()
        return _line("NO CARRIER") + self._event("+CGEV: NW PDN DEACT 1")

    def detach(self) -> bytes:
        """The network detaches the modem, and with it the session."""
        self._end_session()
        self.is_attached = False
        return self._event("+CGEV: NW DETACH")

    def restart(self) -> bytes:
        """It starts again, as it does after a fault: everything that was set is forgotten."""
        self._end_session()
        self.is_attached = self._is_unlocked = False
        self._echoes, self._errors = True, 0
        self._tells = dict.fromkeys(_REGISTERS, 0)
        self._tells_events = False
        self._contexts.clear()
        self._line.clear()
        return _line("RDY")

    # Commands -----------------------------------------------------------------------------------------------------

    def _answer(self, line: bytes) -> bytes:
        text = line.decode("ascii", "replace").strip()
        if text[:2].upper() != "AT":
            return b"" if self._is_noise(text) else _line("ERROR")
        said = b""
        try:
            for command in _split(text[2:]):
                said += b"".join(map(_line, self._command(command)))
        except CommandError as error:
            return said + _line(self._error(error.number))
        return said + _line("OK")

    @staticmethod
    def _is_noise(text: str) -> bool:
        return not text.isascii() or "\ufffd" in text

    def _error(self, number: int) -> str:
        if self._errors == 0:
            return "ERROR"
        return f"+CME ERROR: {number if self._errors == 1 else _TEXTS[number]}"

    def _command(self, command: str) -> list[str]:
        if command.upper() in ("E0", "E1", "E"):
            self._echoes = command.endswith("1")
            return []
        if command.upper() in ("", "Z", "&F", "V1", "Q0", "X4", "S0=0", "H", "&C1", "&D2"):
            return []
        if command.upper() in ("I", "I0"):
            return [f"Manufacturer: {MAKER}", f"Model: {MODEL}", f"Revision: {REVISION}", f"IMEI: {IMEI}"]
        match = _EXTENDED.fullmatch(command[:1] + _upper_name(command[1:]))
        if match is None:
            raise CommandError(NOT_SUPPORTED)
        name, tests, reads, given = match.groups()
        if name not in self._COMMANDS:
            raise CommandError(NOT_SUPPORTED)
        if name not in _WITHOUT_SIM:
            self._check_sim()
        form = "test" if tests else "read" if reads else "run" if given is None else "set"
        return self._COMMANDS[name](self, form, _fields(given or ""))

    def _check_sim(self) -> None:
        if not self.radio.has_sim:
            raise CommandError(SIM_MISSING)
        if self._wants_puk:
            raise CommandError(PUK_WANTED)
        if self._wants_pin:
            raise CommandError(PIN_WANTED)

    @property
    def _wants_puk(self) -> bool:
        return bool(self.radio.pin) and self.pin_tries == 0

    @property
    def _wants_pin(self) -> bool:
        return bool(self.radio.pin) and not self._is_unlocked

    def _cgmi(self, form: str, _: list[str]) -> list[str]:
        return [] if form == "test" else [MAKER]

    def _cgmm(self, form: str, _: list[str]) -> list[str]:
        return [] if form == "test" else [MODEL]

    def _cgmr(self, form: str, _: list[str]) -> list[str]:
        return [] if form == "test" else [REVISION]

    def _cgsn(self, form: str, _: list[str]) -> list[str]:
        return [] if form == "test" else [IMEI]

    def _cimi(self, form: str, _: list[str]) -> list[str]:
        return [] if form == "test" else [IMSI]

    def _ccid(self, form: str, _: list[str]) -> list[str]:
        return [] if form == "test" else [f"+CCID: {ICCID}"]

    def _gcap(self, form: str, _: list[str]) -> list[str]:
        return [] if form == "test" else ["+GCAP: +CGSM"]

    def _cfun(self, form: str, given: list[str]) -> list[str]:
        if form == "set" and given[0] != "1":
            raise CommandError(NOT_ALLOWED)  # its radio is never off
        return {"read": ["+CFUN: 1"], "test": ["+CFUN: (1),(0)"]}.get(form, [])

    def _cscs(self, form: str, given: list[str]) -> list[str]:
        if form == "set" and given[0] not in ("GSM", "IRA"):
            raise CommandError(BAD_PARAMETER)
        return {"read": ['+CSCS: "IRA"'], "test": ['+CSCS: ("GSM","IRA")']}.get(form, [])

    def _cmee(self, form: str, given: list[str]) -> list[str]:
        if form == "set":
            self._errors = _choice(given[0], 2)
        return {"read": [f"+CMEE: {self._errors}"], "test": ["+CMEE: (0-2)"]}.get(form, [])

    def _cpin(self, form: str, given: list[str]) -> list[str]:
        if not self.radio.has_sim:
            raise CommandError(SIM_MISSING)
        if form == "read":
            return [f"+CPIN: {'SIM PUK' if self._wants_puk else 'SIM PIN' if self._wants_pin else 'READY'}"]
        if form == "set":
            self._take_pin(given)
        return []

    def _take_pin(self, given: list[str]) -> None:
        if self._wants_puk or len(given) > 1:
            self.puk_tries = max(self.puk_tries - 1, 0)
            raise CommandError(WRONG)  # nobody knows this SIM's PUK
        if not self._wants_pin:
            raise CommandError(NOT_ALLOWED)
        if given[0] != self.radio.pin:
            self.pin_tries -= 1
            raise CommandError(WRONG if self.pin_tries else PUK_WANTED)
        self.pin_tries = PIN_TRIES
        self._is_unlocked = True

    def _csq(self, form: str, _: list[str]) -> list[str]:
        level = min(max((self.radio.signal_dbm + 113) // 2, 0), 31)
        return ["+CSQ: (0-31,99),(0-7,99)"] if form == "test" else [f"+CSQ: {level},99"]

    def _cesq(self, form: str, _: list[str]) -> list[str]:
        level = min(max(self.radio.signal_dbm + 141, 0), 97)
        return (
            ["+CESQ: (0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)"]
            if form == "test"
            else [f"+CESQ: 99,99,255,255,20,{level}"]
        )

    def _register(self, name: str, form: str, given: list[str]) -> list[str]:
        if form == "set":
            self._tells[name] = _choice(given[0], 2)
        if form == "test":
            return [f"+{name}: (0-2)"]
        return [f"+{name}: {self._tells[name]},{self._place(name)}"] if form == "read" else []

    def _creg(self, form: str, given: list[str]) -> list[str]:
        return self._register("CREG", form, given)

    def _cgreg(self, form: str, given: list[str]) -> list[str]:
        return self._register("CGREG", form, given)

    def _cereg(self, form: str, given: list[str]) -> list[str]:
        return self._register("CEREG", form, given)

    def _cops(self, form: str, given: list[str]) -> list[str]:
        radio = self.radio
        if form == "test":
            return [f'+COPS: (2,"{radio.operator}","sim","{radio.operator_digits}",{radio.technology}),,(0-4),(0-2)']
        if form == "set":
            self._choose(given)
            return []
        if not radio.is_in_network:
            return ["+COPS: 0"]
        named = f'2,"{radio.operator_digits}"' if self._names == 2 else f'0,"{radio.operator}"'
        return [f"+COPS: 0,{named},{radio.technology}"]

    def _choose(self, given: list[str]) -> None:
        mode = _choice(given[0], 4)
        if mode == 3 and len(given) > 1:
            self._names = _choice(given[1], 2)
        elif mode in (1, 4) and given[-1] not in (self.radio.operator_digits, self.radio.operator):
            raise CommandError(NO_NETWORK)

    def _cgdcont(self, form: str, given: list[str]) -> list[str]:
        if form == "test":
            return ['+CGDCONT: (1-16),"IP",,,(0),(0)']
        if form == "read":
            return [f'+CGDCONT: {number},"IP","{name}","",0,0' for number, name in sorted(self._contexts.items())]
        number = _context(given)
        if len(given) > 1 and given[1] != "IP":
            raise CommandError(NOT_SUPPORTED)
        self._contexts[number] = given[2] if len(given) > 2 else ""
        return []

    def _cgauth(self, form: str, given: list[str]) -> list[str]:
        if form == "set":
            _context(given)
        return []

    def _cgatt(self, form: str, given: list[str]) -> list[str]:
        if form == "set":
            if given[0] == "1":
                self._attach()
            else:
                self.detach()
        return {"read": [f"+CGATT: {int(self.is_attached)}"], "test": ["+CGATT: (0,1)"]}.get(form, [])

    def _attach(self) -> None:
        if not self.radio.is_in_network:
            raise CommandError(NO_NETWORK)
        if self.radio.attach_refused:
            raise CommandError(NO_SERVICE)
        self.is_attached = True

    def _cgact(self, form: str, given: list[str]) -> list[str]:
        if form == "read":
            return [f"+CGACT: {each},{int(each == 1 and self.is_session_up)}" for each in sorted(self._contexts)]
        if form == "set":
            number = _context(given[1:] or ["1"])
            if given[0] == "1":
                self._start_session(number)
            else:
                self._end_session()
        return ["+CGACT: (0,1)"] if form == "test" else []

    def _start_session(self, number: int) -> None:
        wanted = self.radio.access_point
        self._attach()
        if number not in self._contexts or (wanted and self._contexts[number] != wanted) or self.radio.session_refused:
            raise CommandError(NOT_SUBSCRIBED)
        if not self.is_session_up:
            self.is_session_up = True
            self._session_changed(True)

    def _cgpaddr(self, form: str, _: list[str]) -> list[str]:
        if form == "test":
            return ["+CGPADDR: (1)"]
        return [f'+CGPADDR: 1,"{self.radio.address}"'] if self.is_session_up else []

    def _cgcontrdp(self, form: str, _: list[str]) -> list[str]:
        radio = self.radio
        if form == "test" or not self.is_session_up:
            return ["+CGCONTRDP: (1)"] if form == "test" else []
        named = f'+CGCONTRDP: 1,5,"{self._contexts.get(1, "")}"'
        if not radio.address:
            return [named]
        servers = ",".join(f'"{each}"' for each in radio.name_servers.split())
        return [f'{named},"{radio.address}.{radio.mask}","{radio.gateway}",{servers}']

    def _cgerep(self, form: str, given: list[str]) -> list[str]:
        if form == "set":
            self._tells_events = given[0] != "0"
        return ["+CGEREP: (0-2),(0,1)"] if form == "test" else []

    _COMMANDS: ClassVar[Mapping[str, Callable[[SimulatedModem, str, list[str]], list[str]]]] = {
        "CGMI": _cgmi,
        "CGMM": _cgmm,
        "CGMR": _cgmr,
        "GMI": _cgmi,
        "GMM": _cgmm,
        "GMR": _cgmr,
        "CGSN": _cgsn,
        "CIMI": _cimi,
        "CCID": _ccid,
        "GCAP": _gcap,
        "CFUN": _cfun,
        "CSCS": _cscs,
        "CMEE": _cmee,
        "CPIN": _cpin,
        "CSQ": _csq,
        "CESQ": _cesq,
        "CREG": _creg,
        "CGREG": _cgreg,
        "CEREG": _cereg,
        "COPS": _cops,
        "CGDCONT": _cgdcont,
        "CGAUTH": _cgauth,
        "CGATT": _cgatt,
        "CGACT": _cgact,
        "CGPADDR": _cgpaddr,
        "CGCONTRDP": _cgcontrdp,
        "CGEREP": _cgerep,
    }

    # What it says unasked -----------------------------------------------------------------------------------------

    def _place(self, name: str) -> str:
        radio = self.radio
        if self._tells[name] < 2 or not radio.is_in_network:
            return str(radio.status)
        return f'{radio.status},"0001","00000001",{radio.technology}'

    def _registration_changed(self) -> bytes:
        if not self.radio.is_in_network:
            self.is_attached = False
            self._end_session()
        return b"".join(_line(f"+{name}: {self._place(name)}") for name in _REGISTERS if self._tells[name])

    def _event(self, text: str) -> bytes:
        return _line(text) if self._tells_events else b""

    def _end_session(self) -> None:
        if self.is_session_up:
            self.is_session_up = False
            self._session_changed(False)


def _line(text: str) -> bytes:
    return f"\r\n{text}\r\n".encode("ascii", "replace")


def _upper_name(command: str) -> str:
    """Names of commands may be written small."""
    name = re.match(r"[A-Za-z0-9]*", command)
    return "" if name is None else name[0].upper() + command[name.end() :]


def _split(text: str) -> list[str]:
    """The commands of a line: ``;`` ends one, but not between quotes."""
    parts = re.findall(r'(?:"[^"]*"?|[^;"])+', text)
    return [each.strip() for each in parts] or [""]


def _fields(given: str) -> list[str]:
    return next(csv.reader([given], skipinitialspace=True), None) or [""]


def _choice(text: str, most: int) -> int:
    if not text.isdecimal() or len(text) > 2 or int(text) > most:
        raise CommandError(BAD_PARAMETER)
    return int(text)


def _context(given: list[str]) -> int:
    if not given[0].isdecimal() or len(given[0]) > 2 or int(given[0]) not in CONTEXTS:
        raise CommandError(BAD_PARAMETER)
    return int(given[0])
