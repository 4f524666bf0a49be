# SPDX-License-Identifier: Apache-2.0
"""The Eclipse Paho interoperability suites for MQTT 3.1.1 and 5, run from their own checkout against our general broker.

Source: github.com/eclipse/paho.mqtt.testing, ``interoperability/client_test.py`` and ``client_test5.py``. Their code is not
part of this project: ``PAHO_TESTING_DIR`` names a checkout. Each of their tests is one of ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hub.broker.running_broker import RunningBroker

CHECKOUT = os.environ.get("PAHO_TESTING_DIR", "")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not CHECKOUT, reason="runs where PAHO_TESTING_DIR names a checkout of eclipse/paho.mqtt.testing"
    ),
]

# What the suites' command lines would set: topics of the suite's own (3.1.1 has them there only), and where the broker is.
_RUN = """
import sys, unittest
suite = __import__(sys.argv[1])
suite.host, suite.port, suite.topic_prefix = "127.0.0.1", int(sys.argv[2]), "client_test5/"
suite.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
suite.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
suite.nosubscribe_topics = ("test/nosubscribe",)
unittest.main(module=suite, argv=["suite", "-v", "Test." + sys.argv[3]])
"""

MQTT_3_1_1 = [
    "testBasic",
    "test_retained_messages",
    "will_message_test",
    "test_zero_length_clientid",
    "test_offline_message_queueing",
    "test_overlapping_subscriptions",
    "test_keepalive",
    "test_redelivery_on_reconnect",
    "test_subscribe_failure",
    "test_dollar_topics",
    "test_unsubscribe",
]

MQTT_5 = [
    "test_basic",
    "test_retained_message",
    "test_will_message",
    "test_zero_length_clientid",
    "test_offline_message_queueing",
    "test_overlapping_subscriptions",
    "test_keepalive",
    "test_redelivery_on_reconnect",
    "test_subscribe_failure",
    "test_dollar_topics",
    "test_unsubscribe",
    "test_session_expiry",
    "test_user_properties",
    "test_payload_format",
    "test_publication_expiry",
    "test_subscribe_options",
    "test_assigned_clientid",
    "test_subscribe_identifiers",
    "test_request_response",
    "test_client_topic_alias",
    "test_server_topic_alias",
    "test_maximum_packet_size",
    "test_server_keep_alive",
    "test_flow_control1",
    "test_flow_control2",
    "test_will_delay",
    "test_shared_subscriptions",
]

# Tests of theirs that are not run, each with its reason.
DESELECTED: dict[str, str] = {}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    made = RunningBroker(tmp_path, forbidden_filters=frozenset({"test/nosubscribe"}))
    yield made
    made.close()


def run(broker: RunningBroker, suite: str, test: str) -> None:
    folder = Path(CHECKOUT) / "interoperability"
    done = subprocess.run(
        [sys.executable, "-c", _RUN, suite, str(broker.port), test],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    assert "OK" in done.stderr


@pytest.mark.parametrize("test", MQTT_3_1_1)
def test_mqtt_3_1_1(broker: RunningBroker, test: str) -> None:
    run(broker, "client_test", test)


@pytest.mark.parametrize("test", MQTT_5)
def test_mqtt_5(broker: RunningBroker, test: str) -> None:
    run(broker, "client_test5", test)


@pytest.mark.parametrize(("suite", "ours"), [("client_test", MQTT_3_1_1), ("client_test5", MQTT_5)])
def test_no_test_of_theirs_is_left_out(suite: str, ours: list[str]) -> None:
    source = (Path(CHECKOUT) / "interoperability" / f"{suite}.py").read_text("utf-8")
    theirs = {line.split("(")[0].split()[1] for line in source.splitlines() if line.startswith("    def test")}
    assert theirs - set(ours) == set(DESELECTED)
