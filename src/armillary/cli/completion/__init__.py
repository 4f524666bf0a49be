# SPDX-License-Identifier: Apache-2.0
"""``armillary completion``: scripts with which bash, zsh and fish complete commands, options and their values.

What it is: the commands as data (``places``), and one script a shell made of them. The scripts hold all words, so that
a completion starts no program.

What it is not: completion of names in a service. Specification: ``docs/guides/command-line.md``.
"""
