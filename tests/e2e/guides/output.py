# SPDX-License-Identifier: Apache-2.0
"""What a page shows of a command, against what the command printed: equal, but for samples of what is made anew each time.

A sample stands for ids, serials, tokens and times, for the ports of the page and the folder of its reader. A value that is
printed in the place of a sample takes its place from then on: in the commands that follow, and wherever the page shows the
same sample again. ``…`` alone on a line leaves out lines, within a line it leaves out anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What a page shows -> what may stand in its place; each takes the place of its sample but for times, which never come again.
SAMPLES: Sequence[tuple[str, str, str]] = (
    ("token", r"arme?_(?:…|\.\.\.)", r"(arme?_[A-Za-z0-9_-]+)"),
    ("key", r"armillary-[0-9a-f]{16}/[a-z-]+\+[0-9a-f]{8}\+…", r"(armillary-[0-9a-f]{16}/[a-z-]+\+[0-9a-f]{8}\+\S+)"),
    ("id", ID, rf"({ID})"),
    ("cut id", r"\b[0-9a-f]{8}-…", r"([0-9a-f]{8})-\S*"),
    ("cut digits", r"\b[0-9a-f]{12,128}(?:…|\.\.\.)", r"([0-9a-f]{SIZE})\S*"),
    ("digits", r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{12,128}\b", r"([0-9a-f]{SIZE})"),
    ("short id", r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{8}\b(?!-)", r"([0-9a-f]{8})"),
    ("serial", r"\b[0-9A-F]{20,40}\b", r"([0-9A-F]{20,40})"),
    ("time", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?"),
    ("reference", r"\bVR(?:-[A-Z0-9]{4}){3}\b", r"(VR(?:-[A-Z0-9]{4}){3})"),
    ("left out", r"…", r".*?"),
)
# Lines that a device prints or not by the machine that it is on; that the product has their words is tested apart.
OF_THE_HOST = re.compile(r"(?:^|  )weaker sandbox: (.*)")
NUMBER = re.compile(r"-?\d[\d.,]*")
SAMPLE = re.compile("|".join(f"(?P<k{place}>{shown})" for place, (_, shown, _) in enumerate(SAMPLES)))


@dataclass
class Known:
    """What a reader has come to know: what stands for which sample.

    Attributes:
        values: Sample (an id, digits without their ellipsis, a token, the word for one) -> the real one.
        fixed: Text of every page -> what stands in its place here: addresses, ports, folders.
    """

    values: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)

    def value_of(self, sample: str) -> str | None:
        """The real value of a sample, also of the first digits of an id that is known."""
        whole = next((each for each in self.values if re.fullmatch(ID, each) and each[:8] == sample), None)
        return self.values.get(sample) if whole is None else self.values[whole][:8]

    def told(self, text: str) -> str:
        """A text of a page with what is known in the place of its samples, also of the beginnings of long ones."""
        for sample, value in sorted(self.fixed.items(), key=lambda pair: -len(pair[0])):
            text = re.sub(rf"(?<![\w.]){re.escape(sample)}(?!\w)", lambda _, value=value: value, text)  # type: ignore[misc]
        for sample, value in sorted(self.values.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(sample, value)
            if re.fullmatch(ID, sample):
                text = re.sub(rf"\b{sample[:8]}\b(?!-)", value[:8], text)
            if re.fullmatch(r"[0-9a-f]{12,128}", sample):
                beginning = re.escape(sample[:8])
                text = re.sub(
                    rf"\b{beginning}[0-9a-f]*\b",
                    lambda found, sample=sample, value=value: (  # type: ignore[misc]
                        value[: len(found[0])] if sample.startswith(found[0]) else found[0]
                    ),
                    text,
                )
        return text


def plain(line: str) -> str:
    return " ".join(line.split())


def matched(shown: str, real: str, known: Known, *, numbers_vary: bool = False) -> dict[str, str] | None:
    """What the samples of a shown line stand for in a real one; None where the lines are not the same."""
    shown, real = plain(shown), plain(real)
    pattern, names, at = "", list[str](), 0
    for found in SAMPLE.finditer(shown):
        pattern += _literal(shown[at : found.start()], known, numbers_vary)
        kind, _, stands = SAMPLES[int((found.lastgroup or "k0")[1:])]
        bare = found[0].rstrip("….-") if kind not in ("token", "key", "left out") else found[0]
        stands = stands.replace("SIZE", str(len(bare)))
        earlier = known.value_of(bare) if kind not in ("token", "time", "left out", "cut id") else None
        if earlier is not None:
            pattern += re.escape(earlier) + (r"\S*" if kind == "cut digits" else "")
        else:
            pattern += stands
            names += [bare] if "(" in stands.replace("(?", "") else []
        at = found.end()
    pattern += _literal(shown[at:], known, numbers_vary)
    answer = re.fullmatch(pattern, real)
    return None if answer is None else dict(zip(names, answer.groups(), strict=True))


def _literal(text: str, known: Known, numbers_vary: bool) -> str:
    text = known.told(text)
    if not numbers_vary:
        return re.escape(text)
    return "".join(
        NUMBER.pattern if NUMBER.fullmatch(part) else re.escape(part) for part in re.split(f"({NUMBER.pattern})", text)
    )


def compared(shown: Sequence[str], printed: str, known: Known, *, numbers_vary: bool = False) -> str:
    """Hold what a page shows against the whole output of a command, and learn what its samples stand for.

    Returns:
        What differs, in words; empty where nothing does.
    """
    return _compared(shown, printed.splitlines(), known, numbers_vary=numbers_vary)[0]


def in_order(
    shown: Sequence[str], printed: Sequence[str], known: Known, *, numbers_vary: bool = False
) -> tuple[str, int]:
    """The same of a command that goes on printing: what is shown comes in this order, among other lines.

    Returns:
        What differs, and how many lines were read up to the last that is shown.
    """
    between = [each for line in shown if line.strip() and line.strip() != "…" for each in ("…", line)]
    return _compared([*between, "…"], printed, known, numbers_vary=numbers_vary)


def _compared(shown: Sequence[str], printed: Sequence[str], known: Known, *, numbers_vary: bool) -> tuple[str, int]:
    wanted = [line for line in shown if line.strip() and not OF_THE_HOST.search(line)]
    lines = [(place, line) for place, line in enumerate(printed, 1) if line.strip() and not OF_THE_HOST.search(line)]
    learned, skips, at = Known(dict(known.values), known.fixed), False, 0
    for line in wanted:
        if line.strip() == "…":
            skips = True
            continue
        while True:
            if at >= len(lines):
                return f"the page shows: {line}\nnot printed" + (" after that" if at else ""), 0
            found = matched(line, lines[at][1], learned, numbers_vary=numbers_vary)
            at += 1
            if found is not None:
                learned.values.update(found)
                break
            if not skips:
                return f"the page shows: {line}\nwas printed:    {lines[at - 1][1]}", 0
        skips = False
    if at < len(lines) and not skips:
        return f"the page does not show: {lines[at][1]}", 0
    known.values.update(learned.values)
    return "", lines[at - 1][0] if at else 0
