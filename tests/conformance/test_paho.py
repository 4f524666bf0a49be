# SPDX-License-Identifier: Apache-2.0
"""The Eclipse Paho interoperability suites for MQTT 3.1.1 and 5, run from their own checkout against our general broker.

Source: github.com/eclipse/paho.mqtt.testing, ``interoperability/client_test.py`` and ``client_test5.py``. Their code is not
part of this project: ``PAHO_TESTING_DIR`` names a checkout. Each of their tests is one of ours.
"""

from __future__ import annotations

import os
import re
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


def names_in(suite: str) -> list[str]:
    """The tests of a suite, as its source names them."""
    if not CHECKOUT:
        return []
    source = (Path(CHECKOUT) / "interoperability" / f"{suite}.py").read_text("utf-8")
    return re.findall(r"^    def (test\w+|\w+_test)\(", source, re.MULTILINE)


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


@pytest.mark.parametrize("test", names_in("client_test"))
def test_mqtt_3_1_1(broker: RunningBroker, test: str) -> None:
    run(broker, "client_test", test)


@pytest.mark.parametrize("test", names_in("client_test5"))
def test_mqtt_5(broker: RunningBroker, test: str) -> None:
    run(broker, "client_test5", test)


def test_the_suites_have_as_many_tests_as_were_counted() -> None:
    assert (len(names_in("client_test")), len(names_in("client_test5"))) == (11, 27)
