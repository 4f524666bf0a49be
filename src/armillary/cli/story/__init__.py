# SPDX-License-Identifier: Apache-2.0
"""What plays a story with real processes: ``armillary demo`` and ``armillary guardian demo`` are made of it.

``stage.py`` starts and ends the processes (the service, the devices) and waits for what the service says of them;
``playing.py`` plays scenes, one line a step; ``catalog.py`` is what scenes do with a catalog.

What it is not: a story. Those are ``cli/demo/`` and ``cli/guardian/story/``. Specification: design contract "Commands"
in ARCHITECTURE.md.
"""
