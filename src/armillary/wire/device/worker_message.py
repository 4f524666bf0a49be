# SPDX-License-Identifier: Apache-2.0
"""Messages between a service and its device workers, over the socket pair that each worker inherits.

A message is its length (4 bytes, big-endian, of what follows), then one strict CBOR array: the kind and its fields.

====  ===========  ==========  ============================================================================
kind  message      sent by     fields
====  ===========  ==========  ============================================================================
1     Start        service     settings (JSON text; with the passphrase if a setting holds it), device port,
                               host and port of the hub; the first message, once
2     Changed      service     number, device ids: read these devices again before their next request
3     Cut          service     number, device id: the same, and end its open connections now
4     Reread       service     number, topic: read offers, releases, policies or authorities again
5     Stop         service     none: accept no device, finish what is being recorded, end
6     Ready        worker      none: devices are accepted
7     Done         worker      number: everything up to this number is done
8     News         worker      none: watch and planner should read new reports of devices
9     Held         worker      device id: two machines seem to have this identity
10    Heartbeat    worker      age of the endpoint's last heartbeat (ms), wait of its oldest check-in (s),
                               open connections, counts by name
11    Failed       worker      code, message, remedy: it cannot start
====  ===========  ==========  ============================================================================

``number`` rises by one or more with every message that has one; a worker handles them in order. Any other form is
refused, and the side that receives it ends the worker: both are of one version, so it is a fault or an attack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_choice, take_text, take_uint

LENGTH_BYTES: Final = 4
# Settings are the longest: paths and a passphrase.
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_COUNTS: Final = 64
DEVICE_ID_BYTES: Final = 64
MAX_CHANGED: Final = 100  # devices of one message: more are told in portions, between which a worker does other things

OFFERS: Final = "offers"
RELEASES: Final = "releases"
POLICIES: Final = "policies"
AUTHORITIES: Final = "authorities"
TOPICS: Final = frozenset({OFFERS, RELEASES, POLICIES, AUTHORITIES})

_WHAT: Final = "worker message"
_MAX_NAME: Final = 64
_MAX_TEXT: Final = 4096
_MAX_PORT: Final = 65_535


class Start(NamedTuple):
    """Kind 1: what a worker needs to begin. ``settings`` may hold a secret: it is not in the repr."""

    settings: str
    device_port: int
    hub_host: str
    hub_port: int

    def __repr__(self) -> str:
        return f"Start(device_port={self.device_port}, hub={self.hub_host}:{self.hub_port})"


class Changed(NamedTuple):
    """Kind 2: what is recorded of devices has changed; their ids are 128 lower-case hex digits each."""

    number: int
    device_ids: tuple[str, ...]


class Cut(NamedTuple):
    """Kind 3: as :class:`Changed` of one device, and its open connections are to end now."""

    number: int
    device_id: str


class Reread(NamedTuple):
    """Kind 4: records of a topic, one of :data:`TOPICS`, have changed."""

    number: int
    topic: str


class Stop(NamedTuple):
    """Kind 5: the worker is to end."""


class Ready(NamedTuple):
    """Kind 6: the worker accepts devices."""


class Done(NamedTuple):
    """Kind 7: the worker has handled every message up to ``number``."""

    number: int


class News(NamedTuple):
    """Kind 8: the worker has recorded new reports of devices."""


class Held(NamedTuple):
    """Kind 9: two machines seem to have the identity of a device."""

    device_id: str


class Heartbeat(NamedTuple):
    """Kind 10: the state of the worker's endpoint; ``counts`` by name, the ages as their names say in ms and s."""

    age_ms: int
    oldest_wait_s: int
    connections: int
    counts: Mapping[str, int]


class Failed(NamedTuple):
    """Kind 11: the worker cannot start, with the error's code, message and remedy."""

    code: str
    message: str
    remedy: str


Message = Start | Changed | Cut | Reread | Stop | Ready | Done | News | Held | Heartbeat | Failed


def _uint(value: Any) -> int:
    return take_uint(value, _WHAT)


def _port(value: Any) -> int:
    return take_uint(value, _WHAT, limit=_MAX_PORT)


def _text(value: Any) -> str:
    return take_text(value, _WHAT, limit=_MAX_TEXT)


def _settings(value: Any) -> str:
    return take_text(value, _WHAT, limit=MAX_MESSAGE_BYTES)


def _device(value: Any) -> str:
    return take_bytes(value, _WHAT, size=DEVICE_ID_BYTES).hex()


def _devices(value: Any) -> tuple[str, ...]:
    return tuple(_device(one) for one in take_array(value, _WHAT, limit=MAX_CHANGED))


def _topic(value: Any) -> str:
    return take_choice(value, TOPICS, _WHAT)


def _counts(value: Any) -> Mapping[str, int]:
    if type(value) is not dict or len(value) > MAX_COUNTS:
        raise WireError(_WHAT, expected=f"a map of at most {MAX_COUNTS} counts", got=f"{value!r:.60}")
    return {take_text(name, _WHAT, limit=_MAX_NAME): take_uint(count, _WHAT) for name, count in value.items()}


# kind -> message, how each field is read
_KINDS: Final[dict[int, tuple[type[Any], tuple[Callable[[Any], Any], ...]]]] = {
    1: (Start, (_settings, _port, _text, _port)),
    2: (Changed, (_uint, _devices)),
    3: (Cut, (_uint, _device)),
    4: (Reread, (_uint, _topic)),
    5: (Stop, ()),
    6: (Ready, ()),
    7: (Done, (_uint,)),
    8: (News, ()),
    9: (Held, (_device,)),
    10: (Heartbeat, (_uint, _uint, _uint, _counts)),
    11: (Failed, (_text, _text, _text)),
}
_KIND_OF: Final = {message: kind for kind, (message, _) in _KINDS.items()}


def encode(message: Message) -> bytes:
    """A message with its length before it; raises WireError for a field out of its limits."""
    kind = _KIND_OF[type(message)]
    values: tuple[Any, ...] = message
    payload = cbor.encode([kind, *(_field(read, value) for read, value in zip(_KINDS[kind][1], values, strict=True))])
    parse(payload)  # what the other side would refuse must not leave this one
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


def _field(read: Callable[[Any], Any], value: Any) -> Any:
    """What is sent of a field that the other side reads with ``read``."""
    if read is _device:
        return bytes.fromhex(value)
    if read is _devices:
        return [bytes.fromhex(one) for one in value]
    return dict(value) if read is _counts else value


def parse(payload: bytes) -> Message:
    """A message from what follows its length; raises WireError unless it is exactly one message of the table."""
    value = take_array(cbor.decode(payload, what=_WHAT, limit=MAX_MESSAGE_BYTES), _WHAT, limit=8)
    known = _KINDS.get(value[0]) if value and type(value[0]) is int else None
    if known is None:
        raise WireError(_WHAT, expected=f"a kind from 1 to {max(_KINDS)}", got=f"{value[:1]!r:.60}")
    message, fields = known
    take_array(value, _WHAT, limit=8, size=1 + len(fields))
    made: Message = message(*(read(one) for read, one in zip(fields, value[1:], strict=True)))
    return made


class Stream:
    """Cuts received bytes into messages; holds at most one incomplete message."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete, in order.

        Raises WireError for a length or a message that is not of the table; the stream must be closed then.
        """
        self._buffer += data
        found: list[Message] = []
        while len(self._buffer) >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if not 1 <= length <= MAX_MESSAGE_BYTES:
                raise WireError(_WHAT, expected=f"a length from 1 to {MAX_MESSAGE_BYTES}", got=str(length))
            end = LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            found.append(parse(bytes(self._buffer[LENGTH_BYTES:end])))
            del self._buffer[:end]
        return found
