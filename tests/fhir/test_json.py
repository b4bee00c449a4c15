"""What strict JSON lets in, what it refuses and where, and that nothing changes on the way."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.errors import Invalid
from sokhoe.fhir import decode, encode
from sokhoe.fhir.json import MAX_DEPTH

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1e9, max_value=1e9),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=30,
)


def refusal(data: bytes | str) -> str:
    with pytest.raises(Invalid) as caught:
        decode(data)
    assert caught.value.status == 400
    assert caught.value.hint
    return caught.value.message


@given(VALUES)
@settings(deadline=None)
def test_what_is_encoded_comes_back_equal_however_it_is_laid_out(value: Any) -> None:
    written = encode(value)
    assert decode(written) == value
    assert decode(msgspec.json.format(written, indent=2)) == value
    assert decode(written.decode()) == value


@pytest.mark.parametrize("number", ["72.50", "0.10", "-0.0", "1.0E+2", "0", "-7", "1E-7", "0E-7"])
def test_a_number_keeps_its_written_digits(number: str) -> None:
    assert encode(decode(number)) == number.encode()


def test_a_fraction_is_a_decimal_and_a_whole_number_an_int() -> None:
    assert decode("[72.50, 72, 1e2, 123456789012345678901234567890]") == [
        Decimal("72.50"),
        72,
        Decimal("1E+2"),
        123456789012345678901234567890,
    ]
    assert [type(one) for one in decode("[72.50, 72, 1e2]")] == [Decimal, int, Decimal]


def test_keys_keep_their_order() -> None:
    assert list(decode('{"b":1,"a":2,"c":3}')) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("text", "key", "byte"),
    [
        ('{"a":1,"a":2}', "a", 7),
        ('{"a":1,"a":1}', "a", 7),
        ('{"a" : 1 , "a" : 2}', "a", 11),
        ('{"x":[{"y":{"a":1,"b":2,\n"a":3}}]}', "a", 25),
        ('{"a":1,"\\u0061":2}', "a", 7),
        ('{"a\\u003a":1,"a:":2}', "a:", 13),
        ('{"a\\u003A":1,"a:":2,"b":"::"}', "a:", 13),
        ('{"a":{"b":1},"a":{"b":1}}', "a", 13),
        ('{"a":"\\u003a","a":1}', "a", 14),
        ('{"":1,"":2}', "", 6),
    ],
)
def test_a_key_twice_in_one_object_is_refused(text: str, key: str, byte: int) -> None:
    message = refusal(text)
    assert f"'{key}' occurs a second time" in message
    assert f"at byte {byte} " in message


@pytest.mark.parametrize(
    "text",
    [
        '[{"a":1},{"a":2}]',
        '{"a":{"a":{"a":1}}}',
        '{"a":"a","b":"a","c":":"}',
        '{"a\\u003a":1,"a":"a:"}',
        '{"a":"\\"a\\":1,\\"a\\":2"}',
        '{"a": "{[", "b": "\\\\"}',
    ],
)
def test_the_same_word_elsewhere_is_no_second_key(text: str) -> None:
    assert decode(text) == json.loads(text)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "a:", ":", '"', "b"]), VALUES), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_a_second_key_is_seen_however_it_is_written(
    pairs: list[tuple[str, Any]], spaces: bool, escaped: bool
) -> None:
    colon = " : " if spaces else ":"
    text = ",".join(f"{json.dumps(key)}{colon}{encode(one).decode()}" for key, one in pairs)
    if escaped:
        text = text.replace('"a:"', '"a\\u003a"')
    twice = len({key for key, _ in pairs}) < len(pairs)
    if twice:
        assert "second time" in refusal("{" + text + "}")
    else:
        assert decode("{" + text + "}") == dict(pairs)


@pytest.mark.parametrize(
    ("data", "reason", "byte"),
    [
        (b'{"a":1,}', "trailing comma", 7),
        (b'{"a":NaN}', "invalid character", 5),
        (b"[Infinity]", "invalid character", 1),
        (b"[-Infinity]", "invalid character", 2),
        (b"[01]", "", 2),
        (b"{'a':1}", "", 1),
        (b"[1] 2", "trailing", 4),
        (b"{}x", "trailing", 2),
        (b'["a\x01b"]', "invalid character", 3),
        (b"", "ends too early", 0),
        (b'{"a":', "ends too early", 5),
        (b'{"a":"x', "ends too early", 7),
        (b'["\xff"]', "not UTF-8", 2),
        (b'["\xc3"]', "not UTF-8", 2),
        (b'["\xed\xa0\x80"]', "not UTF-8", 2),
        (b'["\\ud800"]', "surrogate", 2),
        (b'["\\ud800x"]', "surrogate", 2),
        (b'["ok",\n"\\udc00"]', "surrogate", None),
        ('{"a":1}'.encode("utf-16"), "not UTF-8", 0),
        (b"[1, 1e401]", "exponent", 4),
        (b"[1, 1e-401]", "exponent", 4),
        (b"[1, 0e9999999]", "exponent", 4),
        (b"[1, 1e99999999999999999999999]", "exponent", 4),
        (b"[" + b"1" * 5000 + b"]", "out of range", None),
    ],
)
def test_what_is_no_json_is_refused_with_the_byte(
    data: bytes, reason: str, byte: int | None
) -> None:
    message = refusal(data)
    assert reason in message
    if byte is not None:
        assert f"at byte {byte} " in message


def test_the_line_is_named_as_well() -> None:
    assert "(line 3)" in refusal(b'{\n"a":1,\n"b":x}')


def test_half_a_letter_in_a_python_text_is_refused() -> None:
    assert "surrogate" in refusal('"\ud800"')


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@pytest.mark.parametrize(("left", "right", "each"), [("[", "]", 1), ('[{"a":', "}]", 2)])
def test_nesting_has_an_end(left: str, right: str, each: int) -> None:
    def text(levels: int) -> str:
        return left * (levels // each) + "[1]" + right * (levels // each)

    assert decode(text(MAX_DEPTH - each))
    for levels in (MAX_DEPTH + each, 500, 300_000):
        assert f"more than {MAX_DEPTH}" in refusal(text(levels))


def test_brackets_within_texts_are_not_nesting() -> None:
    assert decode(json.dumps(["[{" * 500])) == ["[{" * 500]


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("-Infinity"), float("nan"), 1e999])
def test_what_json_cannot_hold_is_not_written(number: Any) -> None:
    for value in (number, [number], {"a": [{"b": number}]}):
        with pytest.raises(Invalid) as caught:
            encode(value)
        assert caught.value.status == 422
    assert encode({"a": None, "b": "NaN null Infinity"}) == b'{"a":null,"b":"NaN null Infinity"}'


def test_half_a_letter_and_an_endless_list_are_not_written() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in ("\ud800", endless):
        with pytest.raises(Invalid):
            encode(value)
