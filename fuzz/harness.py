# SPDX-License-Identifier: Apache-2.0
"""Runs a harness: random mutations of its seeds, or atheris where that is installed.

A harness is a module with ``fuzz(data: bytes) -> None``, which swallows the errors that the format promises and
lets everything else escape, and ``seeds() -> list[bytes]``, a few valid inputs.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

Fuzz = Callable[[bytes], None]

# Values at the edges of the integers that formats are made of.
EDGES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")
# Longest block that one mutation adds, copies or removes, bytes: more only repeats what less has shown.
BLOCK_LIMIT_BYTES = 64


def mutate(data: bytes, source: random.Random) -> bytes:
    """One to four small changes: flip, overwrite with an edge value, cut, insert, repeat, truncate."""
    mutant = bytearray(data)
    for _ in range(source.randint(1, 4)):
        if not mutant:
            return source.randbytes(source.randint(0, BLOCK_LIMIT_BYTES))
        at = source.randrange(len(mutant))
        length = source.randint(1, BLOCK_LIMIT_BYTES)
        match source.randrange(6):
            case 0:
                mutant[at] ^= 1 << source.randrange(8)
            case 1:
                edge = source.choice(EDGES)
                mutant[at : at + len(edge)] = edge
            case 2:
                del mutant[at : at + length]
            case 3:
                mutant[at:at] = source.randbytes(length)
            case 4:
                mutant[at:at] = mutant[at : at + length]
            case _:
                del mutant[at:]
    return bytes(mutant)


def run(fuzz: Fuzz, seeds: Sequence[bytes], *, runs: int, seed: int) -> None:
    """Feed the seeds themselves, then ``runs`` mutants and random strings; a failing input is printed in hex."""
    source = random.Random(seed)
    for number in range(-len(seeds), runs):
        if number < 0:
            data = seeds[number]
        elif number % 16 == 0:
            data = source.randbytes(source.randint(0, 256))
        else:
            data = mutate(source.choice(seeds), source)
        try:
            fuzz(data)
        except BaseException:
            print(f"failing input (run {number}, seed {seed}): {data.hex()}", file=sys.stderr)
            raise


def edited(document: Any, odd: Sequence[Any], source: random.Random, *, edits: int, names: Sequence[str] = ()) -> Any:
    """A copy of a JSON document with one to ``edits`` values replaced by odd ones, some under one of ``names``."""
    made = copy.deepcopy(document)
    for _ in range(source.randint(1, edits)):
        holder = made
        while isinstance(holder, (dict, list)) and holder:
            key = source.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
            if isinstance(holder[key], (dict, list)) and source.random() < 0.7:
                holder = holder[key]
                continue
            if names and isinstance(holder, dict) and source.random() < 0.3:
                key = source.choice(names)
            holder[key] = copy.deepcopy(source.choice(odd))
            break
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: ``python -m fuzz NAME [--runs N] [--seed S] [--atheris ...]``."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("name", help="a module of this folder with fuzz() and seeds()")
    parser.add_argument("--runs", type=int, default=100_000, help="mutants to try (random loop)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random loop; same seed, same inputs")
    parser.add_argument("--atheris", action="store_true", help="coverage-guided; what follows goes to libFuzzer")
    options, rest = parser.parse_known_args(arguments)
    harness = importlib.import_module(f"fuzz.{options.name}")
    if options.atheris:
        import atheris  # noqa: PLC0415 - optional: pip install atheris

        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *rest], harness.fuzz)
        atheris.Fuzz()
        return
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    run(harness.fuzz, harness.seeds(), runs=options.runs, seed=options.seed)
    print(f"{options.runs} runs with seed {options.seed}: accepted or refused, nothing else")
