# SPDX-License-Identifier: Apache-2.0
"""Where the maker gets the pinned Debian packages: a folder, this host's sources, or the archive of all that there was.

No place is trusted with anything: a file whose SHA-256 is not the pinned one is refused, wherever it comes from.
"""
