# SPDX-License-Identifier: Apache-2.0
"""From a committed block of messages to points in memory to a flush.

Not here: values that are sealed (``engines/series/values``).
"""
