# SPDX-License-Identifier: Apache-2.0
"""Acknowledged QoS 1 messages a second: our front, which has committed each, against mosquitto, which stores none.

Same load generator, interleaved rounds, a fresh process a round. No TLS on either side: it would measure OpenSSL.

A round of ours is two of the load generator's. The first is a burst: the log takes it, and it is decoded behind it. The
second comes when as much waits to be decoded as may: from there on messages are taken as fast as they are decoded.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.result import result

HERE = Path(__file__).resolve().parent
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"

CONNECTIONS, WINDOW, PAYLOAD_BYTES = 100, 10, 100
ROUNDS, ROUND_S = 3, 3.0


def run() -> list[dict[str, object]]:
    """Rates of both, ours in a burst and behind it, and how fast the log of such a round is decoded alone."""
    if not Path(MOSQUITTO).exists():
        raise SystemExit("bench ingest: mosquitto is missing; install it: scripts/install-test-tools")
    ours: list[float] = []
    sustained: list[float] = []
    theirs: list[float] = []
    pipeline: list[float] = []
    decoded: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        load, language = _generator(Path(scratch))
        for number in range(ROUNDS):
            with _mosquitto(Path(scratch)) as port:
                theirs.append(_rate(load, port))
            with _hub(Path(scratch) / f"hub{number}") as (port, process):
                ours.append(_rate(load, port))
                sustained.append(_rate(load, port))
                process.send_signal(signal.SIGTERM)
                counters = json.loads(process.stdout.readline())  # type: ignore[union-attr]  # it is a pipe
                decoded.append(counters["decoded"] / counters["kept"])
            pipeline.append(_replay(Path(scratch) / f"hub{number}"))
            shutil.rmtree(Path(scratch) / f"hub{number}")
    conditions = (
        f"{CONNECTIONS} publishers, window {WINDOW}, {PAYLOAD_BYTES}-byte JSON, no TLS, {language} load generator "
        f"on the same cores, median of {ROUNDS} interleaved rounds of {ROUND_S:g} s; ours: committed to SQLite "
        "synchronous=FULL before each PUBACK"
    )
    return [
        _row("ingest", ours, theirs, conditions),
        _row(
            "ingest-sustained",
            sustained,
            theirs,
            "the same load at once behind such a burst, all of it decoded as it comes; "
            f"{statistics.median(decoded):.0%} of both was decoded when it ended",
        ),
        _row("ingest-decode", pipeline, theirs, "the log of such a round decoded to values, nothing else running"),
    ]


def _row(name: str, values: list[float], theirs: list[float], conditions: str) -> dict[str, object]:
    value, peer = statistics.median(values), statistics.median(theirs)
    return result(name, value, "messages/s", ("mosquitto, acknowledged and not stored", peer), conditions)


def _generator(scratch: Path) -> tuple[list[str], str]:
    """The C generator where there is a compiler, otherwise the Python one."""
    program = scratch / "mqtt_load"
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is not None:
        subprocess.run([compiler, "-O2", "-o", program, HERE / "mqtt_load.c"], check=True)
        return [str(program)], "C"
    return [sys.executable, "-m", "bench.mqtt_load"], "Python"


def _rate(load: list[str], port: int) -> float:
    arguments = [*load, "127.0.0.1", str(port), str(CONNECTIONS), str(WINDOW), str(PAYLOAD_BYTES), str(ROUND_S)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, cwd=HERE.parent, timeout=60)
    acknowledged, seconds = done.stdout.split()
    return int(acknowledged) / float(seconds)


@contextmanager
def _mosquitto(scratch: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = scratch / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n")
    process = subprocess.Popen([MOSQUITTO, "-c", settings])
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _hub(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.plain_hub", str(folder)], stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    )
    try:
        yield int(process.stdout.readline()), process  # type: ignore[union-attr]  # it is a pipe
    finally:
        process.terminate()
        process.wait(30)


def _replay(folder: Path) -> float:
    """Messages a second decoded and flushed from a log."""
    from armillary.engines.series.retention import Retention  # noqa: PLC0415 - not while the load runs
    from armillary.engines.series.store import SeriesStore  # noqa: PLC0415 - not while the load runs

    store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None)
    started = time.monotonic()
    while store.decoder.messages < 100_000 and store.decoder.work(1.0):
        if store.flush_due():
            store.commits.submit(store.begin_flush(int(time.time() * 1000))).result()
            store.end_flush(kept=True)
    rate = store.decoder.messages / (time.monotonic() - started)
    store.close(int(time.time() * 1000))
    return rate


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
