# SPDX-License-Identifier: Apache-2.0
"""What one process is made of: the only place where parts of the product are joined.

What it is: the whole service in one process (``whole.py``), how it runs until it is told to stop (``serve.py``), its
log and its memory. What it is not: any part's work. A part takes what it uses in its constructor, and is handed it
here.
"""
