# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.detector_quality FOLDER``: what the shipped detector finds of recordings that others published.

FOLDER has ``nab`` (data and labels of https://github.com/numenta/NAB) and ``iot-23`` (``*.labeled``: connections of
https://www.stratosphereips.org/datasets-iot23), one of them at least. It is no part of ``make bench``: the recordings
are not ours to ship. What they came to is in docs/concepts/detection.md, with their dates.
"""

from __future__ import annotations

import sys
from pathlib import Path

from armillary.sim.attacks.recordings import (
    BUDGETS,
    Found,
    Recording,
    by_allow_list,
    judged,
    moved,
    read_connections,
    read_nab,
    windows_of,
)


def main(folder: Path) -> int:
    """Print a table of each part, with its control."""
    budgets = " ".join(f"{f'<={budget:g}/day':>10}" for budget in BUDGETS)
    print(f"{'recording':<34} {'series':>6} {'days':>6} {'base':>6} {'AP':>6} {'TPR.1%':>6} {'shipped':>16} {budgets}")
    if (folder / "nab").is_dir():
        for part in sorted(one.name for one in (folder / "nab" / "data").iterdir() if one.is_dir()):
            _tell(part, read_nab(folder / "nab", part))
    for file in sorted((folder / "iot-23").glob("*.labeled")):
        connections = read_connections(file)
        name = file.name.removesuffix(".conn.log.labeled").removeprefix("CTU-")
        _tell(f"{name}, connections", [windows_of(connections, name)])
        for with_port in (False, True):
            found = by_allow_list(connections, with_port=with_port)
            print(
                f"{name}, allow-list by address{' and port' if with_port else ''}: {found.recall:.1%} of "
                f"{found.malicious} malicious connections; of {found.others} others {found.false} "
                f"({found.false_declared} but for names, time and addresses)"
            )
    return 0


def _tell(name: str, recordings: list[Recording]) -> None:
    labelled = [one for one in recordings if one.spans]
    if not labelled:  # nothing is wrong there: only false incidents
        shipped = judged(recordings).shipped[1]
        print(f"{name:<34} {len(recordings):>6} no anomalies; {shipped:.3f} false incidents a day")
        return
    _row(name, judged(recordings))
    _row("  control: labels moved", judged([moved(one) for one in recordings]))


def _row(name: str, found: Found) -> None:
    shipped = f"{found.shipped[0]:.2f} at {found.shipped[1]:.3f}/day"
    budgets = " ".join(f"{found.budgets[budget]:>10.2f}" for budget in BUDGETS)
    print(
        f"{name:<34} {found.series:>6} {found.days:>6.0f} {found.base_rate:>6.2f} {found.precision:>6.2f} "
        f"{found.recall_at_rate:>6.2f} {shipped:>16} {budgets}"
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
