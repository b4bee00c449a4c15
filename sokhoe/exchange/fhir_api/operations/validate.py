"""`$validate`: everything that is wrong with a resource, without keeping it.

    POST Patient/$validate          a resource, or Parameters (resource, mode, profile)
    POST Patient/x/$validate        the same for an update of x; mode=delete asks if x may go
    GET  Patient/x/$validate?profile=…   the stored one

The answer is 200 with an OperationOutcome, whatever is found: errors, warnings and notes, each with
its FHIRPath and, for an invariant, its key. A call that cannot be carried out is an error as
everywhere. hl7.org/fhir/R4/resource-operation-validate.html
"""

from __future__ import annotations

from typing import Any

from sokhoe.errors import Forbidden, Invalid, Issue, SokhoeError
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.fhir import TYPES, explain, path, terminology
from sokhoe.trust import Deed

MODES = ("create", "update", "delete", "profile")
MOST_PROFILES = 20
_FINE = Issue("No problem was found.", "", "informational", "information")


def validate(call: OperationCall) -> dict[str, Any]:
    mode = call.arguments.text("mode")
    if mode and mode not in MODES:
        raise Invalid(
            f"There is no mode {mode!r}.",
            hint=f"Known: {', '.join(MODES)}.",
            slug="parameter",
            location="mode",
            code="value",
        )
    if mode == "delete":
        return _outcome(_deletable(call))
    resource = _resource(call)
    profiles = _profiles(call)
    if mode == "profile" and not profiles:
        raise Invalid(
            "With mode=profile the profile must be named.",
            slug="parameter",
            location="profile",
            code="required",
        )
    shelf = _shelf(call)
    issues = [*_places(call, resource, mode)]
    issues += explain(
        resource,
        profiles=profiles,
        load=lambda url: _definition(call, url),
        world=path.World(
            resolve=lambda reference: _referred(call, reference),
            member_of=None if shelf is None else lambda value, url: member(shelf, value, url),
        ),
    )
    return _outcome(issues)


def _resource(call: OperationCall) -> dict[str, Any]:
    given = call.arguments.object("resource")
    if given is not None:
        return given
    if call.type is None or call.id is None:
        raise Invalid(
            "There is no resource to validate.",
            hint="Send it as the body, or as the parameter 'resource'.",
            slug="parameter",
            location="resource",
            code="required",
        )
    return call.session.read(call.type, call.id).resource


def _profiles(call: OperationCall) -> list[str]:
    found = [str(one) for one in call.arguments.all("profile")]
    if len(found) > MOST_PROFILES:
        raise Invalid(
            f"At most {MOST_PROFILES} profiles can be checked at once.",
            slug="too-costly",
            code="too-costly",
        )
    return found


def _places(call: OperationCall, resource: dict[str, Any], mode: str) -> list[Issue]:
    """Whether the resource belongs where the call says it goes."""
    found = []
    kind, id = resource.get("resourceType"), resource.get("id")
    if call.type is not None and kind != call.type and kind in TYPES:
        found.append(
            Issue(f"This is a {kind}; the address says {call.type}.", "resourceType", "invalid")
        )
    place = f"{kind}.id"
    if call.id is not None and call.arguments.object("resource") is not None and id != call.id:
        found.append(Issue(f"The id is {id!r}; the address says {call.id!r}.", place, "invalid"))
    elif mode == "create" and id is not None:
        text = "A resource that is created gets its id from the server; this one is left out."
        found.append(Issue(text, place, "informational", "information"))
    elif mode == "update" and id is None:
        found.append(Issue("A resource that is updated needs its id.", place, "required"))
    return found


def _deletable(call: OperationCall) -> list[Issue]:
    """Whether the record may be deleted by this actor now."""
    if call.type is None or call.id is None:
        raise Invalid(
            "mode=delete is asked of one record: {type}/{id}/$validate?mode=delete.",
            slug="parameter",
            location="mode",
        )
    call.session.read(call.type, call.id)
    if not call.session.may(Deed.DELETE, call.type):
        text = f"{call.type} may not be deleted with these rights."
        return [Issue(text, f"{call.type}", "forbidden")]
    return []


def _definition(call: OperationCall, url: str) -> dict[str, Any] | None:
    """A stored StructureDefinition by its canonical, the newest if several have it."""
    name, _, version = url.partition("|")
    asked = [("url", name), ("_sort", "-_lastUpdated"), ("_count", "1")]
    if version:
        asked.insert(1, ("version", version))
    try:
        found = call.session.search("StructureDefinition", asked).versions
    except Forbidden:
        return None
    return found[0].resource if found else None


def _referred(call: OperationCall, reference: str) -> dict[str, Any] | None:
    """The stored resource of a reference, as far as this actor may see it."""
    kind, _, id = reference.removeprefix(call.call.base + "/").partition("/")
    if kind not in TYPES or not id:
        return None
    try:
        return call.session.read(kind, id.partition("/")[0]).resource
    except SokhoeError:
        return None


def _shelf(call: OperationCall) -> terminology.Library | None:
    """The terminology, None for an actor who may not ask it."""
    try:
        return call.session.consult("ValueSet", f"{call.type or ''}/$validate")
    except Forbidden:
        return None


def member(shelf: terminology.Library, value: Any, url: str) -> bool | None:
    """Whether a code, a Coding or one of the codings of a CodeableConcept is in a value set.

    None where nobody here can tell; a CodeableConcept with a text only is in none.
    """
    if isinstance(value, str):
        return shelf.member(url, "", value)
    if not isinstance(value, dict):
        return None
    if "coding" not in value:
        return _coded(shelf, value, url) if "code" in value else False
    some = [one for one in value["coding"] if isinstance(one, dict)]
    answers = {_coded(shelf, one, url) for one in some[:100]}
    return True if True in answers else None if None in answers else False


def _coded(shelf: terminology.Library, coding: dict[str, Any], url: str) -> bool | None:
    code, system = coding.get("code"), coding.get("system", "")
    if not isinstance(code, str) or not isinstance(system, str):
        return False
    return shelf.member(url, system, code)


def _outcome(issues: list[Issue]) -> dict[str, Any]:
    """An OperationOutcome of them all; errors first, each kind in document order."""
    order = ("fatal", "error", "warning", "information")
    found = sorted(issues, key=lambda one: order.index(one.severity)) or [_FINE]
    return Invalid(found[0].message, slug="validate", issues=tuple(found)).outcome()


OPERATIONS = (
    Operation(
        name="validate",
        url="http://hl7.org/fhir/OperationDefinition/Resource-validate",
        handler=validate,
        parameters=(
            Parameter("resource", "Resource"),
            Parameter("mode", "code"),
            Parameter("profile", "canonical", many=True),
        ),
        system=True,
        type=True,
        instance=True,
        summary="All that is wrong with a resource: shape, invariants, profiles",
    ),
)
