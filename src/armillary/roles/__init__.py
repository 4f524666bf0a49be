# SPDX-License-Identifier: Apache-2.0
"""What one process is made of: the only place where parts of the product are joined.

What it is: the whole service in one process (``whole.py``), a hub with its platform (``platform.py``), how it runs
until a signal stops it (``serve.py``), its log and its memory. What it is not: the work of any part. A part gets all
that it uses here, in its constructor.
"""
