# SPDX-License-Identifier: Apache-2.0
"""Engines: the only code that knows a particular store, chip or operating system. One folder per port.

What it is: for each thing that can be done in more than one real way (keep a secret, keep bytes through a
power cut, contain a program, keep records) a ``port.py`` that holds the contract, and one module per way.
What it is not: a place for rules. An engine decides nothing that the pure packages (``boot``, ``attest``,
``update``, ...) decide; it carries out.
Specification: each port's module docstring.
"""
