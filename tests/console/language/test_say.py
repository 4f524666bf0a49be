# SPDX-License-Identifier: Apache-2.0
"""Texts of the interface are English, and another language where somebody reads them so."""

from __future__ import annotations

import copy
import json
import re
from string import Formatter

import pytest
from babel.messages.pofile import read_po
from docs import texts

from armillary.console.frame.words import counted, counted_page, joined, moment, sentence
from armillary.console.language.rendering import Rendering
from armillary.console.language.say import apart, known, say, say_count, shaped
from armillary.console.language.script_texts import said_in, script_texts
from armillary.console.language.translation import ENGLISH, LANGUAGES, Translation, translation


class Scots:
    """A catalog of three texts."""

    def gettext(self, message: str) -> str:
        return {
            "{what} of {name}": "{name}'s {what}",
            "device": "thingmabob",
            "{first} and {last}": "{first} an {last}",
            "{span} ago": "{span} syne",
            "{count} or more devices": "{count} or mair things",
        }.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        words = {"device": "thing", "devices": "things"}
        gap, _, word = (msgid1 if n == 1 else msgid2).partition(" ")
        return f"{gap} {words.get(word, word)}"


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


def test_helpers_that_build_texts_keep_their_marks() -> None:
    """German and others are made where a page is laid out, so that what was said before has to be known there."""
    thing = say("device")
    many = {"items": [1], "next": "x"}
    for built, english, scots in (
        (joined([thing, "a", "b"]), "device, a and b", "thingmabob, a an b"),
        (joined([thing]), "device", "thingmabob"),
        (apart([thing, "{b}"], "; "), "device; {b}", "thingmabob; {b}"),
        (apart([thing, "b"], " {} "), "device {} b", "thingmabob {} b"),
        (sentence(thing), "Device.", "Thingmabob."),
        (shaped(thing, str.upper), "DEVICE", "THINGMABOB"),
        (counted(1, "device"), "1 device", "1 thing"),
        (counted(1200, "device"), "1,200 devices", "1,200 things"),
        (counted(2, "property", "properties"), "2 properties", "2 properties"),
        (counted_page(many, "device"), "1 or more devices", "1 or mair things"),
        (moment(1000, 1600).relative, "10 min ago", "10 min syne"),
    ):
        assert (built, SCOTS.text(built)) == (english, scots)
    assert joined([]) == ""
    assert type(apart(["a", "b"])) is str
    assert type(sentence("a")) is str


def test_a_copy_of_a_text_is_the_text_with_its_mark() -> None:
    text = say("{what} of {name}", what=say("device"), name="x")
    assert copy.deepcopy([text])[0] is text


def test_a_sentence_of_the_api_is_translated_and_one_of_no_table_is_said_as_it_is() -> None:
    german = translation("de")
    for each in texts.of_the_api():
        assert known(each) == each
        assert german.text(known(each)) != each, "it has a translation, and English ones are no German ones"
    assert german.text(known("What {nobody} said.")) == "What {nobody} said."


def test_a_document_for_a_script_is_in_the_language() -> None:
    found = SCOTS.document({"what": say("device"), "device": [say("device"), 1, None, {"x": "device"}]})
    assert found == {"what": "thingmabob", "device": ["thingmabob", 1, None, {"x": "device"}]}


def test_what_a_form_sends_is_the_same_in_every_language() -> None:
    environment = Rendering(lambda name: name)._environment("de")
    source = """<input name="{{ x }}" value="{{ x if x == "Fleet" }}" {% if x %}class="a {{ x }}"{% endif %} title="{{ x }}">{{ x }}"""
    assert environment.from_string(source).render(x=say("Fleet")) == (
        '<input name="Fleet" value="Fleet" class="a Fleet" title="Flotte">Flotte'
    )


def test_texts_of_scripts_are_known_and_come_with_a_page_in_another_language() -> None:
    assert list(said_in("""x = worded("a \\"b\\""); worded(each); y.worded(\n  "{count} new", { count });""")) == [
        'a "b"',
        "{count} new",
    ]
    assert {"{count} new", "Copied", "{span} ago"} <= frozenset(script_texts())
    source = "{{ script_texts|tojson }}"
    of = {code: Rendering(lambda name: name)._environment(code).from_string(source).render() for code in ("en", "de")}
    assert of["en"] == "{}"
    assert json.loads(of["de"])["{span} ago"] == "vor {span}"


def test_only_literals_are_texts() -> None:
    module = """say("a {x}", x=say("b"))\nsay_count(n, "c", "d")\ncounted(n, "e")\ncounted(n, "f", "g")
counted(n, kind)\ncounted_page(p, "h")"""
    assert set(texts.texts_of(module, "m.py")) == {
        "a {x}",
        "b",
        ("c", "d"),
        ("{count} e", "{count} es"),
        ("{count} f", "{count} g"),
        ("{count} h", "{count} hs"),
        "{count} or more hs",
    }
    for wrong in ('say(f"{x}")', "say(word)", 'say_count(n, "a", many)', "say()"):
        with pytest.raises(ValueError, match=r"m\.py:1: say.* takes literals"):
            list(texts.texts_of(wrong, "m.py"))


@pytest.mark.parametrize("value", ["{0}", "{name}", "{name.__class__}", "%s", "{"])
def test_what_stands_in_a_gap_is_never_a_gap_itself(value: str) -> None:
    assert say("{what} of {name}", what="device", name=value) == f"device of {value}"
    assert SCOTS.text(say("{what} of {name}", what="device", name=value)) == f"{value}'s device"


def test_templates_write_in_the_language_and_escape_it() -> None:
    rendering = Rendering(lambda name: f"/static/{name}")

    def head(language: str) -> str:
        frame = {
            "language": language,
            "languages": LANGUAGES,
            "now": 0,
            "theme": "",
            "form_token": "",
            "back": "/fleet",
            "said": None,
        }
        return rendering.text("sign_in.html", language, frame, {"provider": "<b>{0}</b>"})

    assert '<html lang="en"' in head(ENGLISH)
    assert "Sign in with &lt;b&gt;{0}&lt;/b&gt;" in head(ENGLISH)
    assert '<html lang="de"' in head("de")
    assert "Mit &lt;b&gt;{0}&lt;/b&gt; anmelden" in head("de")
    assert "Sign in" not in head("de").partition("<script type")[0]


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
