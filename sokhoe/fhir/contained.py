"""The rules for resources inside a resource (hl7.org/fhir/R4/references.html#contained).

A contained resource has an id of its own, is referred to from the resource around it (or refers to
that as "#"), holds no contained resources itself, and has no version, time or security labels: it
has no life outside. And a reference to `#x` needs an `x` there. Keys are those of R4's invariants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sokhoe.errors import Issue

_OF_RESOURCES = ("Bundle", "Parameters")
_LOCAL = re.compile(rb'"reference":"#([A-Za-z0-9.-]+)"').findall


def needs_look(written: bytes) -> bool:
    """Whether a resource, as JSON bytes, may hold anything these rules speak of."""
    return b'"contained"' in written or b'"#' in written


def is_plainly_well(resource: dict[str, Any], written: bytes) -> bool:
    """True if the rules surely hold; False says nothing. The usual case, without a walk."""
    inner = resource.get("contained")
    if not isinstance(inner, list | tuple) or resource["resourceType"] in _OF_RESOURCES:
        return False
    ids = set()
    for one in inner:
        if not isinstance(one, dict) or "contained" in one or "meta" in one:
            return False
        ids.add(one.get("id"))
    if len(ids) != len(inner):
        return False
    return {match.decode() for match in _LOCAL(written)} == ids


def issues(resource: Any, path: str) -> Iterator[Issue]:
    """What is wrong with the contained resources of one resource and the references to them.

    Resources of a Bundle are resources of their own and are not looked into. What has not the
    shape of R4 is left to those who check shapes.
    """
    if not isinstance(resource, dict):
        return
    some = resource.get("contained")
    inner = [one for one in some if isinstance(one, dict)] if isinstance(some, list | tuple) else []
    references = list(_references(resource, path))
    wanted = {text[1:] for _, text in references if len(text) > 1}
    ids: set[str] = set()
    for index, one in enumerate(inner):
        yield from _one(one, f"{path}.contained[{index}]", ids, wanted)
    for at, text in references:
        if len(text) > 1 and text[1:] not in ids and at.endswith(".reference"):
            yield Issue(
                f"'{text[:60]}' refers to a contained resource, and there is none with that id "
                "(ref-1).",
                at,
                "invariant",
            )


def _one(one: dict[str, Any], at: str, ids: set[str], wanted: set[str]) -> Iterator[Issue]:
    name = one.get("id")
    if not isinstance(name, str):
        yield Issue(
            "A contained resource needs an id, so that it can be referred to.",
            f"{at}.id",
            "required",
        )
    elif name in ids:
        yield Issue(f"Two contained resources have the id '{name[:64]}'.", f"{at}.id", "duplicate")
    else:
        ids.add(name)
        if name not in wanted and not any(text == "#" for _, text in _references(one, at)):
            yield Issue(
                f"Nothing refers to the contained resource '{name[:64]}' (dom-3). Refer to it as "
                f"'#{name[:64]}' or leave it out.",
                at,
                "invariant",
            )
    if "contained" in one:
        yield Issue(
            "A contained resource may not contain others (dom-2). Put them beside it.",
            f"{at}.contained",
            "invariant",
        )
    meta = one.get("meta")
    for member, key in (("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")):
        if isinstance(meta, dict) and member in meta:
            yield Issue(
                f"A contained resource has no meta.{member} ({key}). Leave it out.",
                f"{at}.meta.{member}",
                "invariant",
            )


# Elements that may name a contained resource by "#id": references, and canonical or uri values.
_PLAIN_TEXT = frozenset(("div", "display", "text", "description", "data", "id", "value"))


def _references(value: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """(place, text) of all texts that begin with '#' where a reference or an address may be."""
    for key, member in value.items():
        if isinstance(member, str):
            if member[:1] == "#" and key not in _PLAIN_TEXT:
                yield f"{path}.{key}", member
        elif isinstance(member, dict):
            if key != "resource" or "resourceType" not in member:
                yield from _references(member, f"{path}.{key}")
        elif isinstance(member, list | tuple):
            for index, one in enumerate(member):
                at = f"{path}.{key}[{index}]"
                if isinstance(one, dict):
                    yield from _references(one, at)
                elif isinstance(one, str) and one[:1] == "#":
                    yield at, one
