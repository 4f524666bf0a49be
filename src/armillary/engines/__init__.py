# SPDX-License-Identifier: Apache-2.0
"""Engines: the only code that knows a particular store, chip or operating system. One folder per port.

What it is: for each task that can be done in more than one way (keep a secret, keep bytes through a power cut, contain
a program, store records) a ``port.py`` with the contract, and one module for each way.
What it is not: a place for rules. An engine carries out what the pure packages (``boot``, ``attest``, ``update``, ...)
decide.
Specification: each port's module docstring.
"""
