# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of an image: what others made of it, by the names that advisories have for it.

What it is not: files of the image by name, and what only builds it.
"""
