# SPDX-License-Identifier: Apache-2.0
"""Whatever a library of a foreign protocol raises becomes a ``LinkError``.

Also what does not derive from ``Exception``: bacpypes3 raises refusals by the equipment as ``ErrorRejectAbortNack``,
which derives from ``BaseException``, so that ``except Exception`` lets one refusal end the task that polls. Passed on
as they are: what ends this task, this process or a generator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from armillary.wire.equipment.faults import LinkError

TEXT_MAX = 200  # Characters of what equipment or a library says: a line of a log


@contextmanager
def as_link_errors(where: str, reason_of: Callable[[BaseException], str]) -> Iterator[None]:
    """Run a block that calls a library; ``reason_of`` gives the reason where the kind of error does not say it.

    Raises:
        LinkError: the library raised something, whatever it was.
    """
    try:
        yield
    except (LinkError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise LinkError("damaged", f"{where}: the library gave up the exchange") from error
    except TimeoutError as error:
        raise LinkError("timeout", f"{where}: no answer in time") from error
    except OSError as error:
        raise LinkError("unreachable", f"{where}: {printable(error)}") from error
    except BaseException as error:  # bacpypes3 raises refusals that derive from nothing else; see above
        raise LinkError(reason_of(error), f"{where}: {printable(error)}") from error


def printable(error: BaseException) -> str:
    """What an error says, as one short line: parts of it may come from the equipment."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - a text of its own that fails (bacpypes3's undecoded errors) is no other error
        said = ""
    text = "".join(character if character.isprintable() else " " for character in said[:TEXT_MAX])
    return f"{type(error).__name__}: {text}".rstrip(": ")
