"""The insurance exchange file (GIAMDINHHS, QĐ 130/4750/3176/1931): read, check, write, translate.

    file = parse(bytes)          hardened; raises Invalid with place and reason
    problems = check(file)       everything wrong, ERROR or WARNING
    resources = to_fhir(file)    when there is no ERROR; the same file gives the same resources
    bytes = build(visit, person) one of our visits as such a file

`read` does the first two without ever raising for bad input.
"""

from sokhoe.errors import Invalid
from sokhoe.vietnam.giamdinh.build import build, write
from sokhoe.vietnam.giamdinh.check import check
from sokhoe.vietnam.giamdinh.parse import MAX_BYTES, parse
from sokhoe.vietnam.giamdinh.profile import Profile, profile, profile_on
from sokhoe.vietnam.giamdinh.shapes import Description, File, Problem, Record, describe
from sokhoe.vietnam.giamdinh.to_fhir import owned, to_fhir

__all__ = [
    "MAX_BYTES",
    "Description",
    "File",
    "Problem",
    "Profile",
    "Record",
    "build",
    "check",
    "describe",
    "owned",
    "parse",
    "profile",
    "profile_on",
    "read",
    "to_fhir",
    "write",
]


def read(content: bytes, *, facility: str = "") -> tuple[File | None, list[Problem]]:
    """The file, if it can be read, and all that is wrong with it. Never raises for bad input."""
    try:
        file = parse(content)
    except Invalid as error:
        return None, [Problem(i.location, error.slug, i.message) for i in error.issues]
    return file, check(file, facility=facility)
