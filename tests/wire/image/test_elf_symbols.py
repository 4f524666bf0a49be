# SPDX-License-Identifier: Apache-2.0
"""ELF files give build id and functions, in both classes and byte orders; hostile ones give one error."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.image import elf_symbols, symbol_list
from armillary.wire.image.symbol_list import Function, SymbolList

BUILD = bytes(range(20))
FUNCTIONS = (Function(0x1000, 0x40, "step"), Function(0x1040, 0x20, "main"))


def elf(wide: bool = True, order: str = "<", *, build_id: bytes = BUILD, kind: int = 2) -> bytes:
    """A file with a note, a table of symbols and its strings, and nothing to load."""
    names, symbols = b"\0", b""
    shape = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))
    for one in (Function(0x1000, 4, "alias"), *FUNCTIONS, Function(0, 8, "undefined")):
        at, info, section = len(names), 0x12, 1 if one.address else 0
        fields = (
            (at, info, 0, section, one.address, one.size) if wide else (at, one.address, one.size, info, 0, section)
        )
        symbols += shape.pack(*fields)
        names += one.name.encode() + b"\0"
    note = struct.pack(order + "III", 4, len(build_id), 3) + b"GNU\0" + build_id + bytes(-len(build_id) % 4)
    size = 64 if wide else 52
    parts = [(0, b""), (7, note), (kind, symbols), (3, names)]
    header = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    headers, body, place = b"", b"", size
    for section_kind, data in parts:
        entry = shape.size if section_kind == kind else 0
        headers += struct.pack(header, 0, section_kind, 0, 0, place, len(data), 3, 0, 1, entry)
        body += data
        place += len(data)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    rest = (3, 183, 1, 0, 0, place, 0, size, 0, 0, struct.calcsize(header), len(parts), 0)
    return ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *rest) + body + headers


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_classes_and_byte_orders_are_read(wide: bool, order: str) -> None:
    assert elf_symbols.read_elf(elf(wide, order)) == SymbolList(BUILD, "arm64", FUNCTIONS)


def test_a_stripped_program_gives_what_it_exports() -> None:
    assert elf_symbols.read_elf(elf(kind=11)).functions == FUNCTIONS


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc: apt-get install gcc")
def test_a_compilers_program_is_read_as_it_says(tmp_path: Path) -> None:
    source, program = tmp_path / "a.c", tmp_path / "a"
    source.write_text("int step(int *p) { return *p; }\nint main(void) { return step(0); }\n", encoding="ascii")
    subprocess.run(["gcc", "-O0", "-Wl,--build-id=0xc0ffee", "-o", program, source], check=True)
    found = elf_symbols.read_elf(program.read_bytes())
    named = {one.name: one for one in found.functions}
    assert found.build_id == bytes.fromhex("c0ffee")
    assert found.name_at(named["step"].address + 4) == "step"
    assert found.name_at(named["main"].address + named["main"].size - 1) == "main"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an ELF file"), (b"MZ" + bytes(64), "an ELF file"), (elf()[:80], "within the file"),
        (elf(build_id=b""), "build id"), (elf(kind=5), "symbol table"),
    ],
)  # fmt: skip
def test_what_is_no_usable_file_says_why(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        elf_symbols.read_elf(data)


def test_mutated_files_are_symbols_or_one_error() -> None:
    random, whole = Random(5), bytearray(elf())  # noqa: S311 - reproducible, not secret
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(random.randint(1, 6)):
            data[random.randrange(len(data))] = random.choice((0, 1, 0x7F, 0xFF, random.randrange(256)))
        try:
            found = elf_symbols.read_elf(bytes(data[: random.choice((len(data), random.randrange(len(data))))]))
        except WireError:
            continue
        assert symbol_list.parse(symbol_list.encode(found)) == found


_NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=40)


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.tuples(st.integers(0, 2**64 - 1), _NAMES), min_size=1, max_size=8))
def test_a_list_survives_encode_and_parse(found: dict[int, tuple[int, str]]) -> None:
    symbols = SymbolList(BUILD, "x86_64", tuple(Function(at, *found[at]) for at in sorted(found)))
    assert symbol_list.parse(symbol_list.encode(symbols)) == symbols


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1"), ("build-id 0 machine x\n1 1 a\n", "line 1"), ("build-id 00 machine x\n", "functions"),
        ("build-id 00 machine x\n1 1 a\n1 1 b\n", "line 3: an address above 1"),
        ("build-id 00 machine x\n1 1\n", "line 2"), ("build-id 00 machine x\n1 1 a\tb\n", "line 2"),
        ("build-id 00 machine x\n1 1 " + "ü" * 200 + "\n", "line 2"), ("build-id 00 machine x\nG 1 a\n", "line 2"),
    ],
)  # fmt: skip
def test_a_wrong_list_names_the_line(text: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        symbol_list.parse(text.encode())


def test_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_list, "MAX_LIST_BYTES", 10)
    with pytest.raises(WireError, match="at most 10 bytes"):
        symbol_list.parse(b"build-id 00 machine x\n1 1 a\n")
    monkeypatch.setattr(elf_symbols, "MAX_FUNCTIONS", 2)
    with pytest.raises(WireError, match="at most 2 symbols"):
        elf_symbols.read_elf(elf())
