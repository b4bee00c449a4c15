"""I am the face: from a request to a session, and from a session to a page: shell, form parts,
texts, static files.

I keep the look and the words. I may ask trust. I never know a health rule.
"""

from sokhoe.web.asking import (
    HEADERS,
    Ask,
    Handler,
    address_of,
    check_origin,
    cookie_name,
    local_path,
    page,
    read_body,
    set_cookie,
)
from sokhoe.web.doors import routes
from sokhoe.web.drawings import bars, meter, spark
from sokhoe.web.papers import desk_of
from sokhoe.web.seams import Line, LineStatus, NoLine
from sokhoe.web.site import NavItem, Site, make_templates
from sokhoe.web.statics import asset
from sokhoe.web.texts import LANGUAGES, Speaker, Texts, key, read_catalogue

__all__ = [
    "HEADERS",
    "LANGUAGES",
    "Ask",
    "Handler",
    "Line",
    "LineStatus",
    "NavItem",
    "NoLine",
    "Site",
    "Speaker",
    "Texts",
    "address_of",
    "asset",
    "bars",
    "check_origin",
    "cookie_name",
    "desk_of",
    "key",
    "local_path",
    "make_templates",
    "meter",
    "page",
    "read_body",
    "read_catalogue",
    "routes",
    "set_cookie",
    "spark",
]
