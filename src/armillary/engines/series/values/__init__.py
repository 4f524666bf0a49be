# SPDX-License-Identifier: Apache-2.0
"""How points are packed, sealed, rolled up by the hour, and read.

Not here: messages that are not yet flushed (``engines/series/log``).
"""
