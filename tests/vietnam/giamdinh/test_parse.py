"""Twin of giamdinh/parse.py: what is read, what is let pass, what is refused."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest

from sokhoe.errors import Invalid
from sokhoe.vietnam.giamdinh import MAX_BYTES, describe, parse, write
from tests.vietnam.giamdinh.samples import (
    TODAY,
    a_drug,
    a_file,
    a_summary,
    inner,
    inner_xml,
    tables,
    with_inner,
)

RIGHT = a_file()


def odd(content: bytes) -> set[str]:
    return {one.code for one in parse(content).oddities}


def refused(content: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        parse(content)
    assert caught.value.issues[0].location
    return caught.value.slug


def test_a_right_file_is_read_by_name_without_a_word() -> None:
    file = parse(RIGHT)
    assert file.oddities == ()
    assert (file.facility, file.created, file.declared, file.signed) == (
        "86101",
        "20261101",
        "1",
        False,
    )
    (record,) = file.records
    assert record.visit == "LK1"
    assert record.summary["HO_TEN"] == "Nguyễn Thị Bông"
    assert record.summary["MA_QUOCTICH"] == "000"  # a code is text
    assert record.rows("XML2")[0]["DON_GIA"] == "150.000"


def test_a_file_is_described_by_episode_sender_digest_and_counts() -> None:
    found = describe(parse(RIGHT))
    assert found.visits == ("LK1",)
    assert found.facility == "86101"
    assert found.sha256 == sha256(RIGHT).hexdigest()
    assert found.counts == {"XML1": 1, "XML2": 1, "XML3": 1, "XML4": 1, "XML5": 1}


def test_fields_in_another_order_are_the_same_file() -> None:
    turned = (
        inner_xml(RIGHT, "XML2")
        .replace(b"<T_BNTT>0</T_BNTT>", b"")
        .replace(b"</CHI_TIET_THUOC>", b"<T_BNTT>0</T_BNTT></CHI_TIET_THUOC>")
    )
    assert parse(with_inner(RIGHT, "XML2", turned)).records == parse(RIGHT).records


def test_a_signature_is_noticed() -> None:
    assert parse(RIGHT.replace(b"<CHUKYDONVI/>", b"<CHUKYDONVI><S/></CHUKYDONVI>")).signed


# --- dialects, each met in a real file -------------------------------------------------------


def test_inner_files_may_come_with_or_without_declaration_mark_or_cdata() -> None:
    bare = inner_xml(RIGHT, "XML1").partition(b"?>")[2]
    for inside in (bare, b"\xef\xbb\xbf" + bare, b"\n  " + bare):
        assert parse(with_inner(RIGHT, "XML1", inside)).records == parse(RIGHT).records
    cdata = f"<![CDATA[{inner(RIGHT, 'XML1')}]]>"
    assert parse(with_inner(RIGHT, "XML1", cdata)).records == parse(RIGHT).records


def test_line_breaks_inside_base64_do_not_matter() -> None:
    text = inner(RIGHT, "XML1")
    lines = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    assert parse(with_inner(RIGHT, "XML1", lines)).records == parse(RIGHT).records


def test_nested_and_escaped_xml_instead_of_base64_is_read_with_a_word() -> None:
    bare = inner_xml(RIGHT, "XML1").partition(b"?>")[2].decode()
    escaped = bare.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for text in (bare, escaped, f"<![CDATA[{bare}]]>", f"<![CDATA[{escaped}]]>"):
        changed = with_inner(RIGHT, "XML1", text)
        assert parse(changed).records == parse(RIGHT).records
        assert odd(changed) == {"NOT_BASE64"}


def test_a_file_without_hoso_and_without_thongtinhoso_is_one_record() -> None:
    bare = RIGHT
    for name in (b"THONGTINHOSO", b"DANHSACHHOSO", b"HOSO"):
        bare = bare.replace(b"<%b>" % name, b"").replace(b"</%b>" % name, b"")
    assert parse(bare).records == parse(RIGHT).records
    assert odd(bare) == {"NO_HOSO"}


def test_files_may_stand_in_a_list_of_their_own() -> None:
    changed = RIGHT.replace(b"<HOSO>", b"<HOSO><DANHSACH_FILE>").replace(
        b"</HOSO>", b"</DANHSACH_FILE></HOSO>"
    )
    assert parse(changed).records == parse(RIGHT).records


def test_the_number_of_records_may_stand_with_the_sender() -> None:
    changed = RIGHT.replace(b"<SOLUONGHOSO>1</SOLUONGHOSO>", b"").replace(
        b"</MACSKCB>", b"</MACSKCB><SOLUONGHOSO>1</SOLUONGHOSO>"
    )
    assert parse(changed).declared == "1"


def test_lists_may_lack_their_outer_element_and_rows_may_be_misnamed() -> None:
    text = inner_xml(RIGHT, "XML2")
    unwrapped = text.replace(b"<CHITIEU_CHITIET_THUOC>", b"").replace(
        b"</CHITIEU_CHITIET_THUOC>", b""
    )
    assert parse(with_inner(RIGHT, "XML2", unwrapped)).records == parse(RIGHT).records
    renamed = text.replace(b"CHI_TIET_THUOC>", b"THUOC>")
    assert parse(with_inner(RIGHT, "XML2", renamed)).records == parse(RIGHT).records
    assert odd(with_inner(RIGHT, "XML2", renamed)) == {"WRONG_ROW_NAME"}


def test_several_records_in_one_file_are_all_read() -> None:
    two = write("86101", TODAY, [tables(), tables(XML1=[a_summary(MA_LK="LK2")])])
    assert [one.visit for one in parse(two).records] == ["LK1", "LK2"]


def test_names_of_older_dialects_and_lower_case_are_understood() -> None:
    old = (
        inner_xml(RIGHT, "XML1")
        .replace(b"MA_BENH_CHINH>", b"MA_BENH>")
        .replace(b"MA_BENH_KT>", b"MA_BENHKHAC>")
    )
    changed = with_inner(RIGHT, "XML1", old)
    assert parse(changed).records == parse(RIGHT).records
    assert odd(changed) == {"OLD_NAME"}
    low = inner_xml(RIGHT, "XML2").replace(b"CHI_TIET_THUOC", b"chi_tiet_thuoc")
    assert parse(with_inner(RIGHT, "XML2", low)).records == parse(RIGHT).records


def test_a_wrong_encoding_name_over_right_bytes_is_let_pass() -> None:
    changed = RIGHT.replace(b'encoding="utf-8"', b'encoding="utf-16"', 1)
    assert parse(changed).records == parse(RIGHT).records
    assert odd(changed) == {"WRONG_ENCODING_NAME"}


def test_unknown_tables_are_left_aside_and_a_table_given_twice_is_joined() -> None:
    changed = RIGHT.replace(b"<LOAIHOSO>XML5<", b"<LOAIHOSO>XML99<")
    assert "XML5" not in parse(changed).records[0].tables
    assert odd(changed) == {"UNKNOWN_TABLE"}
    more = b64encode(inner_xml(a_file(XML2=[a_drug(STT="2")]), "XML2")).decode()
    twice = RIGHT.replace(
        b"</HOSO>",
        b"<FILEHOSO><LOAIHOSO>XML2</LOAIHOSO><NOIDUNGFILE>%b</NOIDUNGFILE></FILEHOSO></HOSO>"
        % more.encode(),
    )
    assert [row["STT"] for row in parse(twice).records[0].rows("XML2")] == ["1", "2"]
    assert odd(twice) == {"TABLE_TWICE"}


# --- refused ---------------------------------------------------------------------------------


def test_billion_laughs_is_refused_outside_and_inside() -> None:
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
        b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    )
    assert refused(bomb + b"<GIAMDINHHS>&c;</GIAMDINHHS>") == "DOCTYPE"
    inside = bomb + inner_xml(RIGHT, "XML1").partition(b"?>")[2]
    assert refused(with_inner(RIGHT, "XML1", inside)) == "DOCTYPE"


def test_external_entities_are_refused() -> None:
    xxe = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><GIAMDINHHS>&f;</GIAMDINHHS>'
    assert refused(xxe) == "DOCTYPE"
    assert refused(xxe.decode().encode("utf-16")) in {"NOT_UTF8", "NOT_XML"}
    assert refused(b"<GIAMDINHHS>&f;</GIAMDINHHS>") == "NOT_XML"


def test_a_hidden_doctype_in_another_encoding_is_refused() -> None:
    for code in ("utf-16-le", "utf-16-be", "utf-32", "utf-7"):
        hidden = '<!DOCTYPE x [<!ENTITY a "b">]><GIAMDINHHS>&a;</GIAMDINHHS>'.encode(code)
        assert refused(hidden) in {"NOT_UTF8", "NOT_XML", "DOCTYPE"}


def test_truncated_or_dirty_base64_is_refused_at_its_place() -> None:
    whole = inner(RIGHT, "XML4").rstrip("=")
    whole = whole[: len(whole) // 4 * 4]
    for text in (whole[:-1], whole[:-2], whole[:-3], f"{whole[:40]}!!!!{whole[40:]}"):
        with pytest.raises(Invalid) as caught:
            parse(with_inner(RIGHT, "XML4", text))
        assert caught.value.slug == "BAD_BASE64"
        assert caught.value.issues[0].location == "HOSO[0]/XML4"


def test_a_file_in_an_old_vietnamese_encoding_is_refused_with_the_way_out() -> None:
    broken = RIGHT.replace(b"<NGAYLAP>", b"<NGAYLAP>\xd0\xf2")
    with pytest.raises(Invalid) as caught:
        parse(broken)
    assert caught.value.slug == "NOT_UTF8"
    assert "UTF-8" in caught.value.hint


def test_more_than_ten_mebibytes_are_refused_before_reading() -> None:
    padded = RIGHT + b" " * (MAX_BYTES - len(RIGHT))
    assert parse(padded).records == parse(RIGHT).records
    with pytest.raises(Invalid) as caught:
        parse(padded + b" ")
    assert (caught.value.slug, caught.value.status) == ("TOO_LARGE", 413)


def test_a_tree_of_great_depth_is_refused() -> None:
    deep = b"<a>" * 5000 + b"</a>" * 5000
    assert refused(b"<GIAMDINHHS>" + deep + b"</GIAMDINHHS>") == "NOT_XML"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "NOT_XML"),
        (b"hello", "NOT_XML"),
        (b"<GIAMDINHHS>", "NOT_XML"),
        (b"<KHAMSUCKHOE/>", "NOT_GIAMDINHHS"),
        (b"<GIAMDINHHS/>", "NO_TABLES"),
        (RIGHT.replace(b"<NOIDUNGFILE>", b"<X>").replace(b"</NOIDUNGFILE>", b"</X>"), "NO_CONTENT"),
        (RIGHT.replace(b"THONGTINDONVI", b"THONGTIN\x00DONVI"), "NOT_XML"),
    ],
)
def test_what_is_no_exchange_file_is_refused_by_its_reason(content: bytes, code: str) -> None:
    assert refused(content) == code


def test_an_empty_inner_file_is_refused() -> None:
    assert refused(with_inner(RIGHT, "XML1", "  ")) == "NO_CONTENT"
