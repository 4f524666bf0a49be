# SPDX-License-Identifier: Apache-2.0
"""Pictures by their bytes: what they are, what is left of them, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from tests.wire.picture.drawn import SVG, chunk, jpeg, png, segment

from armillary.errors import InvalidArgumentError
from armillary.wire.picture.picture import MAX_PICTURE_BYTES, read_picture


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidArgumentError) as raised:
        read_picture(data)
    assert raised.value.remedy
    return raised.value.message


def svg(inner: str, head: str = "") -> bytes:
    return f'{head}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{inner}</svg>'.encode()


@pytest.mark.parametrize(
    ("data", "media_type", "size"),
    [(png(), "image/png", (3, 2)), (jpeg(), "image/jpeg", (8, 8)), (SVG, "image/svg+xml", (600, 300))],
)
def test_a_picture_is_what_its_bytes_say_and_stays_as_it_is(
    data: bytes, media_type: str, size: tuple[int, int]
) -> None:
    found = read_picture(data)
    assert (found.media_type, (found.width, found.height), found.removed) == (media_type, size, ())
    assert found.content == data


def test_what_cameras_and_programs_tell_and_what_stands_behind_the_end_goes() -> None:
    told = png(chunk(b"tEXt", b"Author\0Anna"), chunk(b"eXIf", b"GPS 47.37"), chunk(b"pHYs", bytes(9))) + b"<script>"
    found = read_picture(told)
    assert found.content == png(chunk(b"pHYs", bytes(9)))
    assert found.removed == ("bytes behind its end", "texts and other data in the file")
    found = read_picture(jpeg(segment(0xE1, b"Exif\0\0GPS 47.37"), segment(0xFE, b"by Anna")) + b"PK\x03\x04")
    assert found.content == jpeg()
    assert found.removed == ("bytes behind its end", "data of camera and programs")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"GIF89a", "expected a PNG, JPEG or SVG file, got other bytes"),
        (b"%PDF-1.7", "other bytes"),
        (png()[:-1], "ends at byte 70"),
        (png()[:20], "ends within"),
        (png()[:40] + b"\xff" + png()[41:], "checksum is wrong"),
        (png(chunk(b"IHDR", bytes(13))), "one header"),
        (png(chunk(b"ZZZZ", b"")), "known parts"),
        (png(width=0), "width and height"),
        (png(width=9000), "at most 8192 pixels a side"),
        (png(width=8000, height=8000)[:33] + png()[33:], "24,000,000 in all"),
        (jpeg()[:-2], "cut within the picture"),
        (jpeg()[:30], "cut"),
        (jpeg(height=0), "width and height"),
        (b"\xff\xd8\xff\xd9", "width and height"),
        (b"\xff\xd8\xff\x00", "the marker 00"),
        (b"x" * (MAX_PICTURE_BYTES + 1), "at most 512 KiB, got 513 KiB"),
        (b"<html><svg/></html>", "an element 'html'"),
        (b"<svg/>", "an element 'svg'"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><g></svg>", "well-formed"),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>".encode("utf-16"), "other bytes"),
        (b"<?xml version='1.0' encoding='utf-7'?>" + SVG, "the encoding 'utf-7'"),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'>]>" + SVG, "without entities"),
        (svg("<g>" * 200 + "</g>" * 200), "100 deep"),
        (svg("<path/>" * 20_000), "20,000 elements"),
        (svg('<g id="a"><use href="#a"/></g>'), "do not use themselves"),
        (svg('<pattern id="a"><rect fill="url(#a)"/></pattern>'), "do not use themselves"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)  # fmt: skip
def test_what_is_no_picture_is_one_error_that_says_what_it_is(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_few_lines_that_draw_without_end_are_refused() -> None:
    doubled = "".join(f'<g id="a{at + 1}"><use href="#a{at}"/><use href="#a{at}"/></g>' for at in range(40))
    assert "200,000 elements that are drawn" in refusal(svg(f'<g id="a0"><path/></g>{doubled}'))
    assert read_picture(svg('<path id="p"/>' + '<use href="#p"/>' * 1000)).removed == ()


@pytest.mark.parametrize(
    ("inner", "left", "removed"),
    [
        ("<script>alert(1)</script>", "", ("the element script",)),
        ('<g onclick="alert(1)"/>', "<g></g>", ("a handler",)),
        ('<g ONLOAD="alert(1)"/>', "<g></g>", ("a handler",)),
        ('<a href="javascript:alert(1)"><rect/></a>', "", ("the element a",)),
        ('<use href="https://evil.example/x.svg#a"/>', "<use></use>", ("a link",)),
        ('<use xlink:href="#a"/>', '<use href="#a"></use>', ()),
        ('<use xlink:href="#a" href="data:image/svg+xml,x"/>', "<use></use>", ("a link",)),
        ("<foreignObject><iframe/></foreignObject>", "", ("the element foreignObject",)),
        ('<image href="https://evil.example/x.png"/>', "", ("the element image",)),
        ('<animate attributeName="href" to="javascript:1"/>', "", ("the element animate",)),
        ('<rect fill="url(https://evil.example/x)"/>', "<rect></rect>", ("the attribute fill",)),
        ('<rect fill="url( \'#p\')"/>', '<rect fill="url( \'#p\')"></rect>', ()),
        ('<rect style="fill:red;stroke:url(#p)"/>', '<rect style="fill:red;stroke:url(#p)"></rect>', ()),
        ('<rect style="b:image-set(\'//evil\' 1x)"/>', "<rect></rect>", ("the attribute style",)),
        ('<rect style="b:u\\72l(//evil)"/>', "<rect></rect>", ("the attribute style",)),
        ("<style>.a{fill:red}</style>", "<style>.a{fill:red}</style>", ()),
        ("<style>@import '//evil.example'</style>", "", ("a style that loads something",)),
        ("<style>.a{b:url(//evil.example)}</style>", "", ("a style that loads something",)),
        ("<metadata><who>Anna</who></metadata>", "", ()),
        ('<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>', "", ("the element script",)),
        ("<!-- a --><?php x ?><title>A &lt;plan&gt;</title>", "<title>A &lt;plan&gt;</title>", ()),
        ('<text aria-label="Note: &quot;x&quot;">a</text>', "<text aria-label='Note: \"x\"'>a</text>", ()),
    ],
)  # fmt: skip
def test_what_an_svg_could_do_goes_and_what_it_shows_stays(inner: str, left: str, removed: tuple[str, ...]) -> None:
    found = read_picture(svg(inner))
    assert found.content.decode() == f'<svg xmlns="http://www.w3.org/2000/svg">{left}</svg>'
    assert found.removed == removed
    assert read_picture(found.content).content == found.content


def test_the_head_that_older_programs_write_is_no_hindrance() -> None:
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
        '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
    )
    assert read_picture(svg("<rect/>", head)).removed == ()


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="20" height="10px"', (20, 10)), ('viewBox="0 0 7,5"', (7, 5)), ('viewBox="0,0,7,5"', (7, 5)),
        ('width="100%" height="100%" viewBox="0 0 6 4"', (6, 4)), ("", (300, 150)), ('viewBox="0 0 1e9 1"', (300, 150)),
    ],
)  # fmt: skip
def test_an_svg_has_the_size_that_it_says(attributes: str, size: tuple[int, int]) -> None:
    found = read_picture(f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}></svg>'.encode())
    assert (found.width, found.height) == size


@given(
    st.sampled_from(
        [png(chunk(b"tEXt", b"a")), jpeg(segment(0xE1, b"b")), SVG, svg('<g onclick="x"><text>a</text></g>')]
    ),
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=3)), max_size=6),
)
def test_damaged_bytes_are_refused_or_read_and_reading_again_changes_nothing(
    data: bytes, wounds: list[tuple[int, bytes]]
) -> None:
    for at, wound in wounds:
        data = data[:at] + wound + data[at + len(wound) :]
    try:
        found = read_picture(data)
    except InvalidArgumentError:
        return
    again = read_picture(found.content)
    assert (again.content, again.removed) == (found.content, ())
    assert b"<script" not in found.content
