# SPDX-License-Identifier: Apache-2.0
"""Armillary: the open successor to Azure Sphere.

Read ARCHITECTURE.md for the map. In one sentence: a format is a file in ``wire/``, a protocol or a
decision is a folder of pure rules, a process is a folder of I/O, and what varies by chip, board,
industry or detection is data in ``content/``.
"""

__version__ = "0.1.0"
