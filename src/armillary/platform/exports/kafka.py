# SPDX-License-Identifier: Apache-2.0
"""Data exports to a Kafka cluster, or whatever speaks its protocol.

A record's key is its device, so that a device's records stay in order; its header ``id`` is the record's. *Delivered*
means acknowledged by all replicas in sync (``acks=all``), by a producer whose repetitions the broker takes once.

*Where to*: a cluster says itself which addresses its brokers have, and a client connects to those. Who may make an
export could have a cluster of theirs name addresses that only this process reaches. So each connection, whoever named
its address, is made by :class:`GuardedLoop` (``kafka_loop.py``): it looks the host up once, has it allowed as a
webhook's host (``engines/outbound/webhook.py``), and goes to the address that was looked at.

*What it says* is not trusted: how much of an answer is read and how much work a proof of the secret may ask for is
bounded (MAX_ANSWER_BYTES, MAX_ITERATIONS), and an answer that makes no sense is the cluster's failure, not this
program's.

The library is aiokafka (extra ``kafka``), as it makes all its connections through the event loop it is given;
librdkafka makes its own, unseen.

Methods block: call them from threads, one at a time; ``close`` does not block.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from armillary.engines.outbound.attempts import NeverError, NotNowError, brief
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import InvalidArgumentError
from armillary.platform.exports.kafka_loop import (
    MAX_ANSWER_BYTES,
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    GuardedLoop,
    NonsenseError,
)

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

    from armillary.platform.exports.port import Outgoing

# How long a broker may take for one request, and all of a batch (milliseconds, seconds).
REQUEST_TIMEOUT_MS: Final = 10_000
WHOLE_S: Final = 20.0
# How long a connection may take to close (seconds).
CLOSE_S: Final = 2.0
# Bytes of one record; the broker's own limit is a megabyte unless somebody changed it.
MAX_RECORD_BYTES: Final = 8 << 20
# Bytes that go to one partition together.
BATCH_BYTES: Final = 1 << 18

# Names of the client's errors that are about the records sent: the next attempt would fail as well. All others are
# about the cluster. (Apache Kafka protocol, error codes 10, 18, 32.)
RECORD_ERRORS: Final = frozenset({"MessageSizeTooLargeError", "RecordListTooLargeError", "InvalidTimestampError"})
# What the client's errors mean, for people.
_MEANINGS: Final[Mapping[str, str]] = {
    "SaslAuthenticationFailed": "the broker refuses the user name or the secret",
    "AuthenticationFailedError": "the broker refuses the user name or the secret",
    "UnsupportedSaslMechanismError": "the broker does not offer this sasl mechanism",
    "IllegalSaslStateError": "the broker expects no sasl here",
    "UnknownTopicOrPartitionError": "there is no such topic",
    "TopicAuthorizationFailedError": "the user may not write to the topic",
    "ClusterAuthorizationFailedError": "the user may not write to the cluster",
    "NotEnoughReplicasError": "too few replicas are in sync",
    "NotEnoughReplicasAfterAppendError": "too few replicas are in sync",
    "SSLCertVerificationError": "the broker's certificate is not trusted",
    "AnswerTooLargeError": f"the broker answers with more than {MAX_ANSWER_BYTES >> 20} MiB",
    "IterationsError": f"the broker asks for less than {MIN_ITERATIONS} or more than {MAX_ITERATIONS} iterations",
    "NonsenseError": "the broker answers with what is not Kafka's protocol",
}
# What the client raises over answers that it did not expect.
_NONSENSE: Final = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)
_LOGGER: Final = "aiokafka"


class Kafka:
    """A producer that is kept, in a thread and an event loop of its own.

    Options are as in ``twin/author/export_destination.py``; ``secret`` is the password of the user name.

    Raises:
        InvalidArgumentError: the extra is not installed.
    """

    def __init__(self, options: Mapping[str, Any], secret: str | None, allowed: AllowedHosts) -> None:
        if importlib.util.find_spec("aiokafka") is None:
            raise InvalidArgumentError(
                "export.destination: aiokafka is not installed where the service runs",
                remedy="Install it with the service: pip install 'armillary[kafka]'; or choose another destination.",
            )
        self._options = options
        self._secret = secret
        self._allowed = allowed
        self._loop: GuardedLoop | None = None
        self._producers: dict[bool, AIOKafkaProducer] = {}

    def deliver(self, records: Sequence[Outgoing], batch_id: str) -> None:  # noqa: ARG002 - each record has its id
        """Hand over records.

        Raises:
            NotNowError: the cluster does not take them now.
            NeverError: it will never take those of the positions ``which``; it has all others.
        """
        if self._options["sasl"] != "none" and self._secret is None:
            raise NotNowError("its secret is not here: give the destination its secret again")
        if self._loop is None:
            self._loop = GuardedLoop(self._allowed, tls=self._options["tls"])
            threading.Thread(target=_serve, args=(self._loop,), name="hub-export-kafka", daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._deliver(self._loop, records), self._loop).result()

    def close(self) -> None:
        """End the producer and its thread, soon."""
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._end(loop), loop)

    # In the loop of its own ---------------------------------------------------------------------------------

    async def _deliver(self, loop: GuardedLoop, records: Sequence[Outgoing]) -> None:
        loop.refused = loop.heard = None
        try:
            async with asyncio.timeout(WHOLE_S):
                failed = await self._send(records, range(len(records)), alone=False)
            if not failed:
                return
            # A batch of a partition is refused as a whole, and what comes behind it with it: each goes alone.
            await self._drop()
            async with asyncio.timeout(WHOLE_S):
                failed = await self._send(records, [*failed], alone=True)
        except (OSError, TimeoutError, _kafka_error()) as error:
            await self._drop()
            raise NotNowError(_why(loop, error)) from error
        await self._drop()
        if failed:
            raise NeverError(f"the broker refuses it ({', '.join(sorted(set(failed.values())))})", which=[*failed])

    async def _send(self, records: Sequence[Outgoing], which: Sequence[int], *, alone: bool) -> dict[int, str]:
        """Send the records at some positions, and wait for the broker.

        Returns position -> name of its error for those that failed, if one of the errors is about the records; for
        records that go alone only such errors.

        Raises:
            KafkaError: none of the errors is about the records.
        """
        producer, error_type = await self._producer(alone=alone), _kafka_error()
        sent: list[asyncio.Future[Any]] = []
        for position in which:
            record = records[position]
            try:
                sent.append(
                    await producer.send(
                        self._options["topic"],
                        record.line,
                        key=record.device_id.encode(),
                        headers=[("id", record.record_id.encode())],
                    )
                )
            except error_type as error:
                sent.append(asyncio.get_running_loop().create_future())
                sent[-1].set_exception(error)
        results = await asyncio.gather(*sent, return_exceptions=True)
        errors = {
            position: result
            for position, result in zip(which, results, strict=True)
            if isinstance(result, BaseException)
        }
        about = {position: each for position, each in errors.items() if type(each).__name__ in RECORD_ERRORS}
        others = [each for position, each in errors.items() if position not in about]
        if others and (alone or not about):
            raise others[0]
        return {position: type(each).__name__ for position, each in errors.items()}

    async def _producer(self, *, alone: bool) -> AIOKafkaProducer:
        """The producer; the one for single records numbers none, as a broker refuses what follows a refused number."""
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - only with exports of this kind

        if alone not in self._producers:
            options = self._options
            proves = options["sasl"] != "none"
            self._producers[alone] = AIOKafkaProducer(
                bootstrap_servers=options["servers"],
                client_id="armillary",
                acks="all",
                enable_idempotence=not alone,
                max_batch_size=1 if alone else BATCH_BYTES,
                max_request_size=MAX_RECORD_BYTES,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                security_protocol=("SASL_" if proves else "") + ("SSL" if options["tls"] else "PLAINTEXT"),
                ssl_context=ssl.create_default_context(cadata=options["ca"]) if options["tls"] else None,
                sasl_mechanism=options["sasl"] if proves else "PLAIN",
                sasl_plain_username=options["username"] if proves else None,
                sasl_plain_password=self._secret if proves else None,
            )
            try:
                await self._producers[alone].start()
            except _NONSENSE as error:
                raise NonsenseError(type(error).__name__) from error
        return self._producers[alone]

    async def _drop(self) -> None:
        """Let go of the producers, and of what they have not delivered: it is sent again."""
        producers, self._producers = [*self._producers.values()], {}
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        for producer in producers:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await producer.stop()
            except (OSError, TimeoutError, asyncio.CancelledError, _kafka_error()):
                continue  # it is not used again

    async def _end(self, loop: GuardedLoop) -> None:
        await self._drop()
        loop.stop()


class _Listener(logging.Handler):
    """Reads the library's log, as only that says why a connection failed. Nothing of it goes to the service's log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # not ours
            return
        said = record.args if isinstance(record.args, tuple) else ()
        for each in said:
            # What a refusal means is not forgotten over the lost connections that follow it.
            if isinstance(loop, GuardedLoop) and isinstance(each, BaseException) and not _means(loop.heard):
                loop.heard = each


def _serve(loop: GuardedLoop) -> None:
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(each, _Listener) for each in logger.handlers):
        logger.addHandler(_Listener())
        logger.propagate = False
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _kafka_error() -> type[Exception]:
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - only with exports of this kind

    return KafkaError  # type: ignore[no-any-return]


def _means(error: BaseException | None) -> str:
    """What an error means, for people; "" for one that says nothing."""
    return _MEANINGS.get(type(error).__name__, "")


def _why(loop: GuardedLoop, error: BaseException) -> str:
    """Why the cluster does not take it; of what the cluster sent it holds an address only."""
    if loop.refused is not None:
        return (
            f"the cluster leads to {loop.refused!a}, which is not allowed:"
            " the administrator can name it in the setting webhook_hosts"
        )
    for each in (error, loop.heard):
        if meaning := _means(each):
            return meaning
    return f"the cluster does not take it ({brief(loop.heard or error)})"
