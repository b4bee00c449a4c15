"""XML and JSON say the same: there and back for every type, and nothing else gets in."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from sokhoe.errors import Invalid
from sokhoe.fhir import TYPES, decode, definitions, from_xml, to_xml, validate_all
from tests.fhir.samples import a_resource

ALL = sorted(TYPES)
SEEDS = st.integers(0, 2**32)
NS = 'xmlns="http://hl7.org/fhir"'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


def with_twins(value: Any, type: str, random: Random) -> Any:
    """Ids and extensions on primitives here and there, and primitives that are nothing else."""
    if type == "Resource":
        type = value["resourceType"]
    for name, element in list(definitions.structure(type).elements.items()):
        if name not in value:
            continue
        if not element.primitive:
            for one in value[name] if element.many else [value[name]]:
                with_twins(one, element.type, random)
        elif element.twin and name not in {"system", "code"} and random.random() < 0.3:
            twin = {"extension": [{"url": "http://x", "valueDecimal": Decimal("1.50")}]}
            if element.many:
                count = len(value[name])
                at = random.randrange(count)
                value["_" + name] = [twin if index == at else None for index in range(count)]
                if random.random() < 0.5:
                    value[name][at] = None
                if not any(one is not None for one in value[name]):
                    del value[name]
            else:
                value["_" + name] = {"id": "x", **twin}
                if random.random() < 0.3:
                    del value[name]
    return value


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(ALL), SEEDS, st.booleans())
def test_any_resource_is_the_same_after_a_way_through_xml(
    kind: str, seed: int, pretty: bool
) -> None:
    random = Random(seed)
    resource = with_twins(a_resource(kind, random, random.random()), kind, random)
    # (what is random breaks a rule of R4 now and then; shapes it keeps)
    assert [one for one in validate_all(resource) if one.code != "invariant"] == []
    text = to_xml(resource, pretty=pretty)
    assert from_xml(text) == resource
    again = to_xml(from_xml(text), pretty=pretty)
    assert etree.canonicalize(again.decode()) == etree.canonicalize(text.decode())


def test_all_of_synthea_is_the_same_after_a_way_through_xml(synthea: Path) -> None:
    count = 0
    for file in sorted(synthea.glob("*.json")):
        bundle = decode(file.read_bytes())
        assert from_xml(to_xml(bundle)) == bundle
        count += len(bundle["entry"])
    assert count == 9964


EXAMPLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="x.xsl"?>
<!-- a comment -->
<Patient {NS} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
         xsi:schemaLocation="http://hl7.org/fhir ../fhir-single.xsd">
  <id value="glossy"/>
  <text>
    <status value="generated"/>
    {DIV}<p title="a&#10;b">Ng&#xf4; &amp; &lt;con&gt;<br/></p><p></p><![CDATA[<x>]]></div>
  </text>
  <contained><Practitioner><id value="p"/></Practitioner></contained>
  <extension url="http://x"><valueDecimal value="72.50"/></extension>
  <active value="true"/>
  <name id="n1">
    <given value="Văn"><extension url="http://y"><valueInteger value="1"/></extension></given>
    <given value="An &amp; &quot;B&quot;"/>
    <given><extension url="http://hl7.org/fhir/data-absent"><valueCode value="unknown"/></extension>
    </given>
  </name>
  <birthDate value="1970-03-30" id="b"><extension url="http://z"><valueBoolean value="false"/>
  </extension></birthDate>
  <multipleBirthInteger value="3"/>
</Patient>
""".encode()


def test_an_example_is_read_as_the_standard_says() -> None:
    assert from_xml(EXAMPLE) == {
        "resourceType": "Patient",
        "id": "glossy",
        "text": {
            "status": "generated",
            "div": f'{DIV}<p title="a&#10;b">Ngô &amp; &lt;con&gt;<br/></p><p></p>&lt;x&gt;</div>',
        },
        "contained": [{"resourceType": "Practitioner", "id": "p"}],
        "extension": [{"url": "http://x", "valueDecimal": Decimal("72.50")}],
        "active": True,
        "name": [
            {
                "id": "n1",
                "given": ["Văn", 'An & "B"', None],
                "_given": [
                    {"extension": [{"url": "http://y", "valueInteger": 1}]},
                    None,
                    {
                        "extension": [
                            {"url": "http://hl7.org/fhir/data-absent", "valueCode": "unknown"}
                        ]
                    },
                ],
            }
        ],
        "birthDate": "1970-03-30",
        "_birthDate": {"id": "b", "extension": [{"url": "http://z", "valueBoolean": False}]},
        "multipleBirthInteger": 3,
    }


def test_what_was_read_is_written_the_same() -> None:
    parsed = etree.fromstring(EXAMPLE)
    etree.strip_attributes(parsed, "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation")
    etree.strip_tags(parsed, etree.Comment)
    written = to_xml(from_xml(EXAMPLE), pretty=True)
    assert _canonical(written) == _canonical(etree.tostring(parsed))


def _canonical(text: bytes) -> str:
    """Without white space between elements of FHIR and without names nobody uses."""
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True, remove_pis=True)
    tree = etree.fromstring(text, parser)
    etree.cleanup_namespaces(tree)
    for one in tree.iter("{http://hl7.org/fhir}*"):
        if not (one.tail or "").strip():
            one.tail = None
        if not (one.text or "").strip():
            one.text = None
    return str(etree.canonicalize(etree.tostring(tree, encoding="unicode")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no element found"),
        ("nonsense", "Start tag expected"),
        (f"<Patient {NS}>", "Premature end"),
        (f"<Patient {NS}/><Patient {NS}/>", "Extra content"),
        ("<Patient/>", "namespace ''"),
        ('<Patient xmlns="http://hl7.org/fhir/"/>', "namespace 'http://hl7.org/fhir/'"),
        (f"<Patience {NS}/>", "Did you mean 'Patient'"),
        (f"<Element {NS}/>", "not a resource type"),
        (f'<Patient {NS} id="x"/>', "attribute 'id'"),
        (f'<Patient {NS}><actve value="true"/></Patient>', "Did you mean 'active'"),
        (f"<Patient {NS}><active/></Patient>", "has no value"),
        (f'<Patient {NS}><active values="true"/></Patient>', "attribute 'values'"),
        (f"<Patient {NS}><active>true</active></Patient>", "text between elements"),
        (f"<Patient {NS}>x</Patient>", "text between elements"),
        (f'<Patient {NS}><active value="true"/><active value="true"/></Patient>', "once only"),
        (f'<Patient {NS}><gender value="male"/><active value="true"/></Patient>', "before"),
        (f'<Patient {NS}><active xmlns="x" value="true"/></Patient>', "namespace 'x'"),
        (f"<Patient {NS}><contained/></Patient>", "a resource is expected"),
        (f'<Patient {NS}><contained><id value="x"/></contained></Patient>', "not a resource type"),
        (f"<Bundle {NS}><entry><resource><Basic/><Basic/></resource></entry></Bundle>", "one"),
        (f'<Patient {NS}><name><id value="x"/></name></Patient>', "no element 'id'"),
        (f'<Patient {NS}><extension><url value="x"/></extension></Patient>', "no element 'url'"),
        (f"<Patient {NS}><text><div/></text></Patient>", "namespace"),
        (f"<Patient {NS}><text>{DIV}<x xmlns='y'/></div></text></Patient>", "XHTML"),
        (f"<Patient {NS}>&nbsp;</Patient>", "nbsp"),
        (f'<Patient {NS}><id value="\x01"/></Patient>', "invalid character"),
        (f"<!DOCTYPE Patient><Patient {NS}/>", "DOCTYPE"),
        (f'<!DOCTYPE x [<!ENTITY a "b">]><Patient {NS}><id value="&a;"/></Patient>', "DOCTYPE"),
        (f'<?xml version="1.0" encoding="ISO-8859-1"?><Patient {NS}/>', "UTF-8"),
        (f'<?xml version="1.0" encoding="UTF-7"?><Patient {NS}/>', "UTF-8"),
    ],
)
def test_what_is_not_fhir_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_xml(text.encode())
    assert said in refused.value.message
    assert refused.value.status == 400


def test_the_place_of_a_mistake_is_named() -> None:
    text = f'<Patient {NS}><name/><name><given value="a"/><given><gven/></given></name></Patient>'
    with pytest.raises(Invalid) as refused:
        from_xml(text.encode())
    assert refused.value.issues[0].location == "Patient.name[1].given[1].gven"


def test_other_encodings_are_refused() -> None:
    for encoding in ("utf-16", "utf-32"):
        with pytest.raises(Invalid, match="UTF-8"):
            from_xml(f"<Patient {NS}/>".encode(encoding))
    with pytest.raises(Invalid):
        from_xml(f'<Patient {NS}><id value="'.encode() + b'\xe9"/></Patient>')
    assert from_xml(b"\xef\xbb\xbf" + f"<Patient {NS}/>".encode()) == {"resourceType": "Patient"}


def test_bombs_are_refused() -> None:
    deep = "<extension url='x'>" * 5000
    with pytest.raises(Invalid) as refused:
        from_xml(f"<Patient {NS}>{deep}".encode())
    assert refused.value.code == "too-costly"
    divs = "<b>" * 5000
    with pytest.raises(Invalid):
        from_xml(f"<Patient {NS}><text>{DIV}{divs}".encode())
    with pytest.raises(Invalid) as refused:
        from_xml(f'<Binary {NS}><data value="{"a" * 11_000_000}"/></Binary>'.encode())
    assert refused.value.status == 413
    with pytest.raises(Invalid, match="exponent"):
        text = f'<Basic {NS}><extension url="x"><valueDecimal value="1e999999999"/></extension>'
        from_xml(f"{text}</Basic>".encode())


def test_a_value_of_another_kind_is_left_for_validation_to_name() -> None:
    read = from_xml(f'<Patient {NS}><active value="yes"/></Patient>'.encode())
    assert [one.location for one in validate_all(read)] == ["Patient.active"]


@pytest.mark.parametrize(
    ("div", "expected"),
    [
        (f"{DIV}a&nbsp;b</div>", f"{DIV}a\u00a0b</div>"),
        ("<div>no namespace</div>", f"{DIV}&lt;div&gt;no namespace&lt;/div&gt;</div>"),
        (f"{DIV}<br></div>", f'{DIV}&lt;div xmlns="http://www.w3.org/1999/xhtml"&gt;&lt;br&gt;'),
        (f"<!DOCTYPE x [<!ENTITY a 'b'>]>{DIV}&a;</div>", f"{DIV}&lt;!DOCTYPE"),
    ],
)
def test_a_narrative_that_is_no_xhtml_is_shown_as_text(div: str, expected: str) -> None:
    text = to_xml({"resourceType": "Basic", "text": {"status": "generated", "div": div}})
    assert expected in text.decode()
    etree.fromstring(text)


def test_what_r4_lacks_is_not_left_out_silently() -> None:
    for resource in (
        {"resourceType": "Patient", "nickname": "x"},
        {"resourceType": "Patient", "name": [{"gven": "x"}]},
        {"resourceType": "Patient", "_name": [{}]},
        {"resourceType": "Nothing"},
        {"resourceType": "Patient", "contained": [{}]},
    ):
        with pytest.raises(Invalid) as refused:
            to_xml(resource)
        assert refused.value.slug == "no-xml"


def test_a_letter_that_xml_lacks_does_not_break_the_answer() -> None:
    text = to_xml({"resourceType": "Basic", "language": "a\x00\uffff"})
    assert from_xml(text)["language"] == "a\ufffd\ufffd"


PIECES = [
    *(b"<", b">", b"/>", b"</", b'"', b"'", b"&", b"&amp;", b"&#0;", b"&#x1F600;", b"&lol;", b"\0"),
    *(b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml?>", b"<!DOCTYPE x>", b"<!ENTITY a 'b'>"),
    *(b"<Patient>", b"</Patient>", b'<id value="x"/>', b"<contained>", b"<resource>", b"<div>"),
    *(b' value="', b' xmlns="', b' xmlns:x="y"', b"x:", b"\xff", b"\xef\xbb\xbf", b" ", b"\n"),
    *(b'<extension url="u">', b"<name>", b"<text>", DIV.encode(), b"</div>", NS.encode()),
]


@settings(max_examples=1500, deadline=None)
@given(SEEDS)
def test_no_text_brings_the_reader_down(seed: int) -> None:
    """Valid documents with pieces put in, taken out and doubled: read, or refused by our error."""
    random = Random(seed)
    kind = random.choice(ALL)
    text = bytearray(to_xml(with_twins(a_resource(kind, random, 0.3), kind, random)))
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(text) + 1)
        match random.randrange(4):
            case 0:
                text[at:at] = random.choice(PIECES)
            case 1:
                del text[at : at + random.randint(1, 20)]
            case 2:
                text[at : at + 1] = bytes([random.randrange(256)])
            case 3:
                end = at + random.randint(1, 40)
                text[at:at] = text[at:end]
    try:
        read = from_xml(bytes(text))
    except Invalid as error:
        assert error.status in {400, 413}
        return
    validate_all(read)
