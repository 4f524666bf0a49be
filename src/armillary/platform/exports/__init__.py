# SPDX-License-Identifier: Apache-2.0
"""Data exports at work: what is read, where it is sent, what is kept when a destination refuses.

Not here: the language of an export (``armillary.twin.author``).
"""
