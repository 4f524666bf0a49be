# SPDX-License-Identifier: Apache-2.0
"""Memory of the process given back: the pages go, the program goes on."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.roles.memory import (
    BACK_BYTES,
    MIN_INTERVAL_S,
    QUIET_S,
    SPELL_S,
    TRIM_INTERVAL_S,
    _clean_program_mappings,
    _program_bytes,
    _settled,
    trim_is_due,
)

SMAPS = """\
1000-5000 r-xp 00000000 08:01 11 /usr/lib/libone.so
Rss:                  16 kB
Anonymous:             0 kB
5000-6000 r--p 00004000 08:01 11 /usr/lib/libone.so
Rss:                   4 kB
Anonymous:             4 kB
6000-7000 rw-p 00005000 08:01 11 /usr/lib/libone.so
Rss:                   4 kB
Anonymous:             0 kB
7000-8000 r--p 00000000 08:01 12 /usr/lib/with a space.so
Rss:                   0 kB
Anonymous:             0 kB
8000-9000 r--p 00000000 08:01 12 /usr/lib/with a space.so
Rss:                   4 kB
Anonymous:             0 kB
9000-a000 r-xp 00000000 00:00 0 [vdso]
Rss:                   4 kB
Anonymous:             0 kB
a000-b000 r--p 00000000 00:00 0
Rss:                   4 kB
Anonymous:             0 kB
"""

PROGRAM = """
import hashlib, json, re, sqlite3, ssl
from armillary.roles.memory import unmap_program_pages

def resident():
    status = open("/proc/self/status").read()
    return 1024 * int(re.search(r"RssFile:\\s+(\\d+) kB", status)[1])

def work():
    rows = sqlite3.connect(":memory:").execute("select upper('a')").fetchall()
    context = ssl.create_default_context().get_ciphers()[0]["name"]
    return [hashlib.sha256(b"x").hexdigest(), rows, context, str(re.compile("(a|b)*c").match("abc"))]

before, kept = work(), resident()
given = unmap_program_pages()
left = resident()
print(json.dumps([before == work(), kept, given, left]))
"""


def test_only_program_pages_that_nobody_has_written_to_are_let_go() -> None:
    assert [(one.start, one.size, one.resident) for one in _clean_program_mappings(SMAPS)] == [
        (0x1000, 0x4000, 16 * 1024),
        (0x8000, 0x1000, 4 * 1024),
    ]


def test_a_library_that_is_being_loaded_is_left_alone() -> None:
    """Its whole file is mapped first, and its own pages are laid over a part of that."""
    half_loaded = SMAPS + "b000-f000 r--p 00000000 08:01 13 /usr/lib/new.so\nRss: 4 kB\nAnonymous: 0 kB\n"
    assert len(list(_clean_program_mappings(half_loaded))) == 3
    for before, now in ((SMAPS, half_loaded), (half_loaded, SMAPS.replace("1000-5000", "1000-4000"))):
        assert 0xB000 not in [one.start for one in _settled(before, now)]
    assert [one.start for one in _settled(half_loaded, SMAPS.replace("1000-5000", "1000-4000"))] == [0x8000]
    assert [one.start for one in _settled(SMAPS, SMAPS)] == [0x1000, 0x8000]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc/self/smaps")
def test_the_pages_go_and_the_program_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    same, kept, given, left = json.loads(done.stdout)
    assert same
    assert given > 0
    assert left < kept


def test_memory_is_given_back_when_a_spell_of_work_is_over_or_lasts() -> None:
    busy, calm = 2 * QUIET_S, QUIET_S / 2
    assert not trim_is_due(MIN_INTERVAL_S, SPELL_S, busy), "what is in use would only come back"
    assert trim_is_due(MIN_INTERVAL_S, SPELL_S, calm)
    assert not trim_is_due(MIN_INTERVAL_S / 2, SPELL_S, calm), "no more often than that"
    assert trim_is_due(TRIM_INTERVAL_S, SPELL_S, busy)
    assert not trim_is_due(1000.0, SPELL_S / 2, calm), "nothing came back that could be given again"


def test_program_pages_that_little_work_brought_back_are_given_back() -> None:
    busy, calm, little = 2 * QUIET_S, QUIET_S / 2, SPELL_S / 10
    assert trim_is_due(MIN_INTERVAL_S, little, calm, BACK_BYTES)
    assert not trim_is_due(MIN_INTERVAL_S, little, busy, BACK_BYTES), "they would only come back"
    assert not trim_is_due(MIN_INTERVAL_S / 2, little, calm, BACK_BYTES), "no more often than that"
    assert not trim_is_due(1000.0, little, calm, BACK_BYTES - 1)


def test_resident_program_pages_are_counted() -> None:
    with Path(sys.executable).open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as program:
        before = _program_bytes()
        assert sum(program[:: mmap.PAGESIZE]) > 0  # each page is touched
        assert _program_bytes() - before >= len(program) // 2
