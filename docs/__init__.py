# SPDX-License-Identifier: Apache-2.0
"""The documentation and the generator of its reference pages (``make docs``)."""
