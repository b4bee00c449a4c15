"""Small papers to sign."""

from __future__ import annotations

from io import BytesIO

from pyhanko.pdf_utils import generic, writer
from pyhanko.pdf_utils.generic import pdf_name

XML = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    "<FILE><UNIT>86001</UNIT><RECORDS><RECORD Id='r1'>Nguyễn Văn An</RECORD></RECORDS>"
    "<SIGNED/></FILE>"
).encode()


def a_pdf(text: str = "Giay hen kham lai 01/12/2026") -> bytes:
    """One page with one line."""
    out = writer.PdfFileWriter(stream_xrefs=False)
    font = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/Type1"),
            pdf_name("/BaseFont"): pdf_name("/Helvetica"),
        }
    )
    fonts = generic.DictionaryObject({pdf_name("/F1"): out.add_object(font)})
    stream = generic.StreamObject(stream_data=f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode())
    page = writer.PageObject(
        contents=out.add_object(stream),
        media_box=generic.ArrayObject([generic.NumberObject(one) for one in (0, 0, 595, 842)]),
        resources=generic.DictionaryObject({pdf_name("/Font"): fonts}),
    )
    out.insert_page(page)
    held = BytesIO()
    out.write(held)
    return held.getvalue()
