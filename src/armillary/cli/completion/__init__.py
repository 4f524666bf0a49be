# SPDX-License-Identifier: Apache-2.0
"""``armillary completion``: scripts with which bash, zsh and fish complete commands, options and their values.

What it is: the commands as data (``places``), and one script a shell made of them. The scripts hold all words, so that
their completion starts no program; for names of what is in the service they ask ``names``, which is quick or silent.

Specification: ``docs/guides/command-line.md``.
"""
