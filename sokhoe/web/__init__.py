"""I am the face: from a request to a session, and from a session to a page: shell, form parts,
texts, static files.

I keep the look and the words. I may ask trust. I never know a health rule.
"""

from starlette.middleware import Middleware

from sokhoe.web.asking import (
    HEADERS,
    Ask,
    Handler,
    address_of,
    check_origin,
    cookie_name,
    keep_device,
    local_path,
    origin_of,
    page,
    read_body,
    set_cookie,
)
from sokhoe.web.doors import routes
from sokhoe.web.drawings import bars, meter, spark
from sokhoe.web.forwarded import BASE, Forwarded, networks
from sokhoe.web.packing import PACKED_FROM, Packing, coding_of, pack, takes_gzip
from sokhoe.web.papers import desk_of
from sokhoe.web.seams import Line, LineStatus, NoLine
from sokhoe.web.site import NavItem, Site, make_templates
from sokhoe.web.statics import asset
from sokhoe.web.texts import LANGUAGES, Speaker, Texts, key, read_catalogue


def middleware(site: Site) -> list[Middleware]:
    """What stands before all routes: belief in the proxies that the operator named, if any."""
    trusted = networks(site.settings.trusted_proxies)
    if not trusted:
        return []
    return [Middleware(Forwarded, trusted=trusted, base=site.settings.url)]


__all__ = [
    "BASE",
    "HEADERS",
    "LANGUAGES",
    "PACKED_FROM",
    "Ask",
    "Handler",
    "Line",
    "LineStatus",
    "NavItem",
    "NoLine",
    "Packing",
    "Site",
    "Speaker",
    "Texts",
    "address_of",
    "asset",
    "bars",
    "check_origin",
    "coding_of",
    "cookie_name",
    "desk_of",
    "keep_device",
    "key",
    "local_path",
    "make_templates",
    "meter",
    "middleware",
    "origin_of",
    "pack",
    "page",
    "read_body",
    "read_catalogue",
    "routes",
    "set_cookie",
    "spark",
    "takes_gzip",
]
