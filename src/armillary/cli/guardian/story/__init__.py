# SPDX-License-Identifier: Apache-2.0
"""The steps of ``armillary guardian demo``: equipment, its guardian in the sandbox, and the hub that hears of it.

``site.py`` starts simulated equipment beside the service and the device; ``setting.py`` has the scenes that all three
stories begin with, ``coffee.py``, ``dispenser.py`` and ``cable.py`` what is theirs. Equipment speaks its real protocol
over pseudo-terminals and TCP; where its time is made to pass faster, the step says so.

What it is not: a test double. Scenes use the operator API and the command line; the guardian is the image that
``armillary guardian image`` makes. Specification: ``docs/guides/guardian-coffee.md`` and its two siblings.
"""
