"""Whatever comes in, the answer is resources that hold or problems that help, never a crash."""

from __future__ import annotations

from base64 import b64encode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sokhoe.fhir import validate
from sokhoe.vietnam.giamdinh import profile, read, to_fhir, write
from tests.vietnam.giamdinh import samples
from tests.vietnam.giamdinh.samples import a_file, inner_xml, some_files, with_inner

QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
RIGHT = a_file()
FIELDS = {
    name: sorted(table.fields)
    for name, table in profile("3176").tables.items()
    if name in {"XML1", "XML2", "XML3", "XML4", "XML5"}
}


def answered(content: bytes) -> None:
    """Either problems, each with place, code and reason, or a file whose resources are valid."""
    file, problems = read(content, facility="86101")
    for one in problems:
        assert one.path and one.code and one.message
    if file is not None and not any(one.severity == "ERROR" for one in problems):
        for resource in to_fhir(file):
            validate(resource)
    else:
        assert problems


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    answered(content)


@QUICK
@given(st.data())
def test_a_file_with_some_bytes_changed(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(some_files())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    answered(bytes(content))


@QUICK
@given(st.sampled_from(some_files()), st.integers(0, 20_000), st.integers(0, 300))
def test_a_file_with_a_piece_cut_out(content: bytes, start: int, length: int) -> None:
    at = start % len(content)
    answered(content[:at] + content[at + length :])


VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "0", "-1", "1e9", "NaN", "9" * 30, "1.5", "1,5", "20260931", "202609310000",
            "00000000", "000000000000", "199000000000", ";", ";;", "A;B", " ", "\u00a0", "\u200b",
            "a  b", "<b>", "&amp;", "]]>", "\ufeff", "ﬁ", "\U0001f9ea", "x" * 2000, "202602300101",
        ]
    ),
)  # fmt: skip


@QUICK
@given(
    st.lists(
        st.sampled_from([(t, f) for t, fields in FIELDS.items() for f in fields]).flatmap(
            lambda where: st.tuples(st.just(where), VALUES)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_right_file_with_any_values_in_any_fields(
    changes: list[tuple[tuple[str, str], str]],
) -> None:
    rows = {
        "XML1": samples.a_summary(),
        "XML2": samples.a_drug(),
        "XML3": samples.a_service(),
        "XML4": samples.a_result(),
        "XML5": samples.a_note(),
    }
    for (table, field), value in changes:
        rows[table] = rows[table] | {field: _storable(value)}
    every = {table: [row] for table, row in rows.items()}
    answered(write("86101", samples.TODAY, [every]))


def _storable(text: str) -> str:
    """Without lone surrogates, which no UTF-8 file can hold."""
    return text.encode("utf-8", "ignore").decode()


NAMES = st.sampled_from(
    ["MA_LK", "TONG_HOP", "CHI_TIET_THUOC", "HOSO", "FILEHOSO", "STT", "X", "MA_BENH", "ma_lk"]
)


@QUICK
@given(
    st.recursive(
        st.tuples(NAMES, st.text(alphabet="ab01;<&", max_size=5)).map(
            lambda pair: f"<{pair[0]}>{pair[1].replace('<', '').replace('&', '')}</{pair[0]}>"
        ),
        lambda inside: st.tuples(NAMES, st.lists(inside, max_size=4)).map(
            lambda pair: f"<{pair[0]}>{''.join(pair[1])}</{pair[0]}>"
        ),
        max_leaves=20,
    ),
    st.sampled_from(["XML1", "XML2", "XML4"]),
)
def test_any_tree_as_an_inner_file(tree: str, table: str) -> None:
    answered(with_inner(RIGHT, table, tree.encode()))
    answered(with_inner(RIGHT, table, tree))


@QUICK
@given(st.binary(max_size=60), st.sampled_from(["XML1", "XML3", "XML5"]))
def test_any_bytes_as_an_inner_file(inside: bytes, table: str) -> None:
    answered(with_inner(RIGHT, table, inside))
    half = len(inner_xml(RIGHT, table)) // 2
    text = b64encode(inner_xml(RIGHT, table)[:half] + inside).decode()
    answered(with_inner(RIGHT, table, text))
