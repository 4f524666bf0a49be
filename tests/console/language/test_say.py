# SPDX-License-Identifier: Apache-2.0
"""Texts of the interface are English, and another language where somebody reads them so."""

from __future__ import annotations

import re
from string import Formatter

import pytest
from babel.messages.pofile import read_po
from docs import texts

from armillary.console.language.rendering import Rendering
from armillary.console.language.say import say, say_count
from armillary.console.language.translation import ENGLISH, LANGUAGES, Translation, translation


class Scots:
    """A catalog of three texts."""

    def gettext(self, message: str) -> str:
        return {"{what} of {name}": "{name}'s {what}", "device": "thingmabob"}.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return {"{n} device": "{n} thing", "{n} devices": "{n} things"}.get(msgid1 if n == 1 else msgid2, msgid2)


SCOTS = Translation("sco", Scots())


def test_a_text_is_its_english() -> None:
    assert say("{what} of {name}", what="device", name="Mia") == "device of Mia"
    assert [say_count(n, "{n} device", "{n} devices", n=n) for n in (0, 1, 2)] == ["0 devices", "1 device", "2 devices"]
    assert isinstance(say("a"), str)


def test_a_text_is_said_in_another_language_with_the_texts_in_its_gaps() -> None:
    assert SCOTS.text(say("{what} of {name}", what=say("device"), name="Mia")) == "Mia's thingmabob"
    assert SCOTS.text(say("{what} of {name}", what="device", name="Mia")) == "Mia's device", "data is not translated"
    assert [SCOTS.text(say_count(n, "{n} device", "{n} devices", n=n)) for n in (1, 2)] == ["1 thing", "2 things"]
    assert SCOTS.text(say("What it lacks")) == "What it lacks"
    assert SCOTS.text("device") == "device"
    assert SCOTS.value(7) == 7
    assert SCOTS.say("device") == "thingmabob"
    assert SCOTS.say_count(2, "{n} device", "{n} devices", n=2) == "2 things"


@pytest.mark.parametrize("value", ["{0}", "{name}", "{name.__class__}", "%s", "{"])
def test_what_stands_in_a_gap_is_never_a_gap_itself(value: str) -> None:
    assert say("{what} of {name}", what="device", name=value) == f"device of {value}"
    assert SCOTS.text(say("{what} of {name}", what="device", name=value)) == f"{value}'s device"


def test_templates_write_in_the_language_and_escape_it() -> None:
    rendering = Rendering(lambda name: f"/static/{name}")

    def head(language: str) -> str:
        frame = {"language": language, "now": 0, "theme": "", "form_token": "", "back": "/fleet", "said": None}
        return rendering.text("sign_in.html", language, frame, {"provider": "<b>{0}</b>"})

    assert '<html lang="en"' in head(ENGLISH)
    assert "Sign in with &lt;b&gt;{0}&lt;/b&gt;" in head(ENGLISH)
    assert '<html lang="de"' in head("de")
    assert "Mit &lt;b&gt;{0}&lt;/b&gt; anmelden" in head("de")
    assert "Sign in" not in head("de")


def test_the_catalogs_are_of_the_code_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert texts.main(["--check"]) == 0, capsys.readouterr().err
    assert {path.stem for path in texts.TEXTS.glob("*.mo")} == LANGUAGES.keys() - {ENGLISH}


def test_what_is_not_up_to_date_or_not_translated_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(texts, "_messages", lambda: {"Fleet", "A new text"})
    assert texts.main(["--check"]) == 1
    assert "de.po is not what the code says" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(texts, "untranslated", lambda _: ["Fleet"])
    assert texts.main(["--check"]) == 1
    assert capsys.readouterr().err == "not translated: de.po: 'Fleet'\n"


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {ENGLISH}))
def test_a_translation_has_the_gaps_of_its_text_and_is_marked_up_by_nobody(language: str) -> None:
    def gaps(form: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(form) if name is not None}

    with (texts.TEXTS / f"{language}.po").open("rb") as file:
        for each in filter(lambda one: one.id, read_po(file, locale=language)):
            sources = each.id if isinstance(each.id, tuple) else (each.id,)
            forms = each.string if isinstance(each.string, tuple) else (each.string,)
            assert {frozenset(gaps(form)) for form in forms} <= {frozenset(gaps(one)) for one in sources}
            assert not any(re.search(r"[<>&]", form) for form in forms), each.string
    assert translation(language).say("Fleet") != "Fleet"
