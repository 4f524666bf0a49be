# SPDX-License-Identifier: Apache-2.0
"""The language of the console: English in the code, others from catalogs of texts.

What it is: ``say`` marks a text that people read and keeps what stands in its gaps, so that it can be translated where
a page is laid out; ``translation`` reads the catalogs beside it (``texts/*.mo``) and gives templates the language that
a person chose. Pages stay pure: they say the same whatever language they are read in.

What it is not: a translation of data. Names, values, reasons that people wrote, and the codes and messages of errors
stay as they are.

Specification: GNU gettext catalogs (``.po``, ``.mo``) with their plural forms; ``make texts`` writes ``console.pot``,
all texts in one file, from the code, and brings the catalogs up to date (``docs/concepts/languages.md``).
"""
