# SPDX-License-Identifier: Apache-2.0
"""A Kafka cluster on loopback: the mock cluster inside librdkafka, which speaks the protocol over real connections.

Its public C interface (``rdkafka_mock.h``) takes brokers down and has requests refused; Python's binding does not show
that, so it is called through ctypes. It does neither TLS nor SASL.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import Consumer, TopicPartition

PRODUCE = 0  # API key
MESSAGE_TOO_LARGE = 10
PARTITIONS = 4
_PRODUCER = 0  # rd_kafka_type_t


def _library() -> Any:
    folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    found = [*folder.glob("librdkafka*.so*")]
    if not found:
        pytest.skip("this build of confluent-kafka does not carry librdkafka")
    library = ctypes.CDLL(str(found[0]))
    handle, text, whole, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int32, ctypes.c_size_t
    for name, result, arguments in (
        ("rd_kafka_new", handle, [whole, handle, text, size]),
        ("rd_kafka_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_new", handle, [handle, whole]),
        ("rd_kafka_mock_cluster_destroy", None, [handle]),
        ("rd_kafka_mock_cluster_bootstraps", text, [handle]),
        ("rd_kafka_mock_topic_create", whole, [handle, text, whole, whole]),
        ("rd_kafka_mock_partition_set_leader", whole, [handle, text, number, number]),
        ("rd_kafka_mock_broker_set_down", whole, [handle, number]),
        ("rd_kafka_mock_broker_set_up", whole, [handle, number]),
        ("rd_kafka_mock_push_request_errors_array", None, [handle, ctypes.c_int16, size, ctypes.POINTER(whole)]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Cluster:
    """Brokers 1 to ``brokers``."""

    def __init__(self, brokers: int = 1) -> None:
        self._library = _library()
        reason = ctypes.create_string_buffer(512)
        self._handle = self._library.rd_kafka_new(_PRODUCER, None, reason, len(reason))
        assert self._handle, reason.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._handle, brokers)
        self.servers: list[str] = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode().split(",")

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def make(self, topic: str, leader: int | None = None) -> None:
        """A topic; all its partitions at one broker, if given."""
        assert self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), PARTITIONS, 1) == 0
        for partition in range(PARTITIONS if leader is not None else 0):
            self._library.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, leader)

    def down(self, broker: int = 1) -> None:
        self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self, broker: int = 1) -> None:
        self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def refuse(self, *codes: int) -> None:
        """Answer the next requests to produce with these errors."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, PRODUCE, len(codes), array)

    def read(self, topic: str, least: int, seconds: float = 20.0) -> list[Any]:
        """Messages of a topic, at least so many, each partition in order."""
        consumer = Consumer({
            "bootstrap.servers": ",".join(self.servers), "group.id": "reader", "enable.auto.commit": False,
            "enable.partition.eof": False,
        })  # fmt: skip
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        found: list[Any] = []
        end = time.monotonic() + seconds
        quiet = 0
        while time.monotonic() < end and (len(found) < least or quiet < 2):
            message = consumer.poll(0.1)
            if message is None:
                quiet += 1
            elif message.error() is None:
                found.append(message)
                quiet = 0
        consumer.close()
        return found


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster(2)
    yield found
    found.close()
