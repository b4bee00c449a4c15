"""References inside a Bundle become the ids that the server gave.

hl7.org/fhir/R4/http.html#trules: what changes is a `reference`, an element of type uri, url, oid or
uuid, and `href` and `src` in a narrative. A text that only looks like one stays as it is: the value
of an identifier may be a urn:uuid, and it is the same person's number ever after.

Every text of every resource must be looked at, 55 to a resource, so this is the longest part of an
import after its storing. One loop over a stack of places, changing only what needs it: 18
microseconds a resource, where building every object anew took 65. Only where a text is one of the
names, and no reference, the types of the standard are asked what it is. `renaming_plainly` says
what all of it means; a test sees to it that both agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sokhoe.fhir import element_type

Names = Mapping[str, str]
LINKS = frozenset({"uri", "url", "oid", "uuid"})
_ATTRIBUTE = re.compile(r"""(\s(?:href|src)\s*=\s*)(["'])(.*?)\2""", re.DOTALL)


def rename(resource: Any, names: Names, resolve: Callable[[str], str]) -> None:
    """Change a resource in place: a `reference` becomes what `resolve` says of it, and a link that
    is a `urn:` among the names becomes its name."""
    places = [resource]
    pop, push = places.pop, places.append
    found = False
    while places:
        place = pop()
        if type(place) is dict:
            for key, value in place.items():
                kind = type(value)
                if kind is str:
                    if key == "reference":
                        # only the value changes, so the walk over the keys goes on undisturbed
                        place[key] = names[value] if value in names else resolve(value)
                    elif value[:4] == "urn:":
                        found = found or value in names
                    elif key == "div" and "urn:" in value:
                        place[key] = _narrative(value, names)
                elif kind is dict or kind is list:
                    push(value)
        else:
            for value in place:
                kind = type(value)
                if kind is dict or kind is list:
                    push(value)
                elif kind is str and value[:4] == "urn:":
                    found = found or value in names
    if found:
        _relink(resource, str(resource.get("resourceType")), names)


def _relink(place: dict[str, Any], type: str, names: Names) -> None:
    """Rename the links of an object of this type, in place."""
    for key, value in place.items():
        kind = element_type(type, key)
        many = value if isinstance(value, list) else [value]
        for at, one in enumerate(many):
            if isinstance(one, dict):
                _relink(one, _type_of(kind, one), names)
            elif kind in LINKS and isinstance(one, str) and one in names:
                if value is many:
                    many[at] = names[one]
                else:
                    place[key] = names[one]


def _type_of(kind: str, value: dict[str, Any]) -> str:
    return str(value.get("resourceType")) if kind == "Resource" else kind


def _narrative(text: str, names: Names) -> str:
    return _ATTRIBUTE.sub(
        lambda found: f"{found[1]}{found[2]}{names.get(found[3], found[3])}{found[2]}", text
    )


def renaming_plainly(value: Any, names: Names, resolve: Callable[[str], str], type: str) -> Any:
    """What `rename` must make of a value of this type, as a new one."""
    if isinstance(value, list):
        return [renaming_plainly(one, names, resolve, type) for one in value]
    if isinstance(value, dict):
        type = _type_of(type, value)
        out = {
            key: renaming_plainly(one, names, resolve, element_type(type, key))
            for key, one in value.items()
        }
        reference = value.get("reference")
        if isinstance(reference, str):
            out["reference"] = names[reference] if reference in names else resolve(reference)
        return out
    if not isinstance(value, str):
        return value
    if type == "xhtml":
        return _narrative(value, names)
    return names[value] if type in LINKS and value[:4] == "urn:" and value in names else value
