"""Is this narrative safe to show? The rules txt-1 and txt-2 of hl7.org/fhir/R4/narrative.html."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_NAMESPACE = "{http://www.w3.org/1999/xhtml}"
_ELEMENTS = frozenset(
    "a abbr acronym b big blockquote br caption center cite code col colgroup dd dfn div dl dt em "
    "font h1 h2 h3 h4 h5 h6 hr i img ins li ol p pre q samp small span strong sub sup table tbody "
    "td tfoot th thead tr tt u ul var del bdo address".split()
)
_ATTRIBUTES = frozenset(
    "title style class id lang dir accesskey tabindex abbr accept align alt axis bgcolor border "
    "cellhalign cellpadding cellspacing cellvalign char charoff charset cite color colspan compact "
    "content coords face frame headers height href hreflang hspace longdesc name noshade nowrap "
    "rel rev rowspan rules scope shape size span src start summary type valign value vspace "
    "width".split()
)
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_UNSAFE = re.compile(r"\s*(?:javascript|vbscript|data(?!:image/))\s*:", re.IGNORECASE)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);)[A-Za-z]")


def is_narrative(text: str) -> bool:
    """A `<div>` of XHTML with formatting only, no script, form, frame or event, and not empty."""
    if "<!" in text.replace("<!--", "") or "<?" in text:
        return False
    if _ENTITY.search(text):
        return False
    from lxml import etree  # large, and needed only here

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return False
    if root.tag != _NAMESPACE + "div":
        return False
    filled = False
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        if not element.tag.startswith(_NAMESPACE):
            return False
        name = element.tag[len(_NAMESPACE) :]
        if name not in _ELEMENTS or not _safe(element):
            return False
        filled = filled or name == "img"
    return filled or bool("".join(map(str, root.itertext())).strip())


def _safe(element: _Element) -> bool:
    for name, value in element.attrib.items():
        if name not in _ATTRIBUTES and name != _XML_LANG:
            return False
        if name in ("href", "src") and _UNSAFE.match(str(value)):
            return False
    return True
