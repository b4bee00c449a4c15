"""The paper sheets of the master key: one page each, to be printed and laid in three places.

Plain HTML without script or foreign files, so that any browser prints it, with no line.
"""

from __future__ import annotations

from html import escape

import segno

from sokhoe.trust.keys.paper import Sheet

_STYLE = """
@page { size: A5; margin: 12mm }
body { font: 11pt/1.4 sans-serif; color: #000; max-width: 120mm }
h1 { font-size: 15pt; margin: 0 } h2 { font-size: 11pt; font-weight: normal; margin: 0 0 4mm }
svg { width: 42mm; height: 42mm } ol { font: bold 13pt/1.6 monospace; columns: 3; margin: 3mm 0 }
li::marker { font: 8pt sans-serif } .small { font-size: 9pt }
"""


def page(sheet: Sheet, server: str, day: str, needed: int, shares: int) -> str:
    """A sheet as a page. `server`: what it opens, in words people will understand in ten years."""
    code = segno.make(sheet.text, error="q").svg_inline(border=2)
    groups = "".join(f"<li>{group}</li>" for group in sheet.groups)
    title = f"{sheet.number} / {shares}"
    return f"""<!doctype html>
<html lang="vi"><head><meta charset="utf-8"><title>Sổ Khoẻ {title}</title>
<style>{_STYLE}</style></head><body>
<h1>Sổ Khoẻ: tờ khoá {title}</h1><h2>Key sheet {title}</h2>
<p>Máy chủ / server: <b>{escape(server)}</b><br>Ngày in / printed: {escape(day)}<br>
Bộ khoá / ring: {sheet.ring.hex()}</p>
{code}
<ol>{groups}</ol>
<p>Cần {needed} trong {shares} tờ để lấy lại khoá chính. Một tờ riêng lẻ không mở được gì.
Cất mỗi tờ ở một nơi, trong phong bì niêm phong: két của giám đốc, Sở Y tế, người thứ ba.</p>
<p class="small">Any {needed} of {shares} sheets give back the master key; one alone opens nothing.
Keep each in a sealed envelope at another place. To use them: <code>sokhoe keys recover</code>.
Letters never used: I, L, O, U. Each group's last letter checks the group.</p>
</body></html>
"""
