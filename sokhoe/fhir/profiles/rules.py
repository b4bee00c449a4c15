"""A profile as a tree of rules: what its differentials say, from the base profile to the derived.

    Observation                      baseDefinition chain: Observation ← vitalsigns ← bp
    ├─ category  slicing by value of coding.code, coding.system
    │   └─ :VSCat  1..1  …
    └─ component  2..*
        └─ :SystolicBP  1..1

R4 itself is not in the tree: the resource is checked against it anyway, and a profile may only
narrow it. So a tree is small, and a snapshot need not be kept. Where only a snapshot is given
(or the base is not at hand), the snapshot is read instead. hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sokhoe.errors import Invalid
from sokhoe.fhir import definitions
from sokhoe.fhir.path.kinds import PRIMITIVES, is_known

BASE = "http://hl7.org/fhir/StructureDefinition/"
LONGEST_CHAIN = 20
MOST_ELEMENTS = 20_000
Load = Callable[[str], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Discriminator:
    """How slices are told apart: `type` is value, pattern, exists, type or profile."""

    type: str
    path: str


@dataclass(frozen=True, slots=True)
class Binding:
    strength: str
    value_set: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One type an element may have, with the profiles it (or its target) must then conform to."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(slots=True)
class Rule:
    """What a profile says of one element. `most` is None for no limit; an absent `fixed`,
    `pattern`, `least` … says nothing."""

    name: str
    least: int = 0
    most: int | None = None
    kinds: tuple[Kind, ...] = ()
    fixed: Any = None
    pattern: Any = None
    bounds: dict[str, Any] = field(default_factory=dict)  # minValue, maxValue, maxLength
    binding: Binding | None = None
    constraints: dict[str, dict[str, Any]] = field(default_factory=dict)
    discriminators: tuple[Discriminator, ...] = ()
    closed: str = "open"  # open, closed, openAtEnd
    ordered: bool = False
    children: dict[str, Rule] = field(default_factory=dict)
    slices: dict[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """`kind` is the type it constrains; `missing` are base profiles that could not be found."""

    url: str
    kind: str
    root: Rule
    missing: tuple[str, ...] = ()


def compiled(definition: dict[str, Any], load: Load) -> Profile:
    """The tree of a StructureDefinition; `Invalid` (slug profile) if it cannot be used."""
    url, kind = definition.get("url"), definition.get("type")
    if not isinstance(url, str) or not isinstance(kind, str) or not is_known(kind):
        raise _unfit(definition, "it has no url, or its type is none of R4")
    if definition.get("derivation") != "constraint":
        raise _unfit(definition, "it defines a type and does not constrain one")
    chain, missing = _chain(definition, load)
    root = Rule(kind)
    for one in chain:
        view = "differential" if "differential" in one else "snapshot"
        elements = one.get(view, {}).get("element")
        if not isinstance(elements, list) or len(elements) > MOST_ELEMENTS:
            raise _unfit(one, f"its {view} holds no elements, or more than {MOST_ELEMENTS}")
        for element, steps in _placed(elements, one):
            _apply(element, _at(root, kind, steps), kind)
    return Profile(url, kind, root, tuple(missing))


def is_base(url: str) -> bool:
    """Whether a canonical is that of a type of R4, which needs no profile."""
    name = url.partition("|")[0].removeprefix(BASE)
    return name != url.partition("|")[0] and (name in ("Resource", "DomainResource")
                                              or is_known(name) or name in PRIMITIVES)  # fmt: skip


def _chain(definition: dict[str, Any], load: Load) -> tuple[list[dict[str, Any]], list[str]]:
    """The profiles from the first below R4 to this one, and those that could not be found.

    A missing base is no loss where the profile brings a snapshot: that holds everything.
    """
    chain, missing = [definition], list[str]()
    seen = {definition["url"]}
    while True:
        base = chain[0].get("baseDefinition")
        if not isinstance(base, str) or is_base(base):
            return chain, missing
        found = load(base)
        if found is None:
            if "snapshot" in chain[0]:
                chain[0] = {k: v for k, v in chain[0].items() if k != "differential"}
            else:
                missing.append(base)
            return chain, missing
        if found.get("url") in seen or len(chain) >= LONGEST_CHAIN:
            raise _unfit(definition, f"its bases go in a circle at {base}")
        seen.add(found.get("url"))
        chain.insert(0, found)


def _placed(
    elements: list[Any], definition: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], list[tuple[str, str]]]]:
    """Each element with its steps below the root: (name, slice name or "")."""
    last: dict[str, list[tuple[str, str]]] = {}
    for element in elements:
        if not isinstance(element, dict) or not isinstance(element.get("path"), str):
            raise _unfit(definition, "an element of it has no path")
        path = element["path"]
        written = element.get("id")
        if isinstance(written, str) and "." in path and written.count(".") == path.count("."):
            steps = [_step(one) for one in written.split(".")[1:]]
        elif "." not in path:
            steps = []
        else:
            above, _, name = path.rpartition(".")
            slice_name = element.get("sliceName", "")
            steps = [*last.get(above, [_step(one) for one in above.split(".")[1:]]),
                     (name, slice_name if isinstance(slice_name, str) else "")]  # fmt: skip
        last[path] = steps
        yield element, steps


def _step(written: str) -> tuple[str, str]:
    name, _, slice_name = written.partition(":")
    return name, slice_name


def _at(root: Rule, kind: str, steps: list[tuple[str, str]]) -> Rule:
    """The rule of an element, made on the way where it is not there."""
    rule = root
    for name, slice_name in steps:
        if name.endswith("[x]"):
            name = name[:-3]
        elif (choice := _choice(kind, steps, name)) is not None:
            child = rule.children.setdefault(choice.choice, Rule(choice.choice))
            child = child.slices.setdefault(slice_name or name, Rule(choice.choice))
            child.kinds = child.kinds or (Kind(choice.type),)
            rule = child
            continue
        child = rule.children.setdefault(name, Rule(name))
        if slice_name:
            child = child.slices.setdefault(slice_name, Rule(name))
        rule = child
    return rule


def _choice(kind: str, steps: list[tuple[str, str]], name: str) -> definitions.Element | None:
    """The element of a choice that is named by one of its types: `valueQuantity` is of `value`."""
    if not any(one.isupper() for one in name):
        return None
    structure: definitions.Structure | None = definitions.structure(kind)
    for step, _ in steps:
        if structure is None:
            return None
        element = structure.elements.get(step.removesuffix("[x]"))
        if step == name:
            return element if element is not None and element.choice else None
        try:
            structure = None if element is None else definitions.structure(element.type)
        except KeyError:
            structure = None
    return None


def _apply(element: dict[str, Any], rule: Rule, kind: str) -> None:
    """Lay what one element of a differential says over what its bases said."""
    if isinstance(element.get("min"), int):
        rule.least = max(rule.least, element["min"])
    most = element.get("max")
    if isinstance(most, str) and most.isdecimal():
        rule.most = int(most) if rule.most is None else min(rule.most, int(most))
    if isinstance(element.get("type"), list):
        rule.kinds = tuple(_kind(one) for one in element["type"] if isinstance(one, dict))
    for key, value in element.items():
        if key.startswith("fixed"):
            rule.fixed = value
        elif key.startswith("pattern"):
            rule.pattern = value
        elif key.startswith(("minValue", "maxValue", "maxLength")):
            rule.bounds[key[:8] if "Value" in key else key] = value
    binding = element.get("binding")
    if isinstance(binding, dict) and isinstance(binding.get("valueSet"), str):
        rule.binding = Binding(str(binding.get("strength")), binding["valueSet"])
    for one in element.get("constraint", ()):
        if isinstance(one, dict) and isinstance(one.get("expression"), str):
            rule.constraints[str(one.get("key"))] = one
    slicing = element.get("slicing")
    if isinstance(slicing, dict):
        rule.discriminators = (
            tuple(
                Discriminator(str(one.get("type")), str(one.get("path")))
                for one in slicing.get("discriminator", ())
                if isinstance(one, dict)
            )
            or rule.discriminators
        )
        rule.closed = str(slicing.get("rules", rule.closed))
        rule.ordered = bool(slicing.get("ordered", rule.ordered))


def _kind(one: dict[str, Any]) -> Kind:
    code = str(one.get("code")).removeprefix("http://hl7.org/fhirpath/System.")
    return Kind(
        code[0].lower() + code[1:] if code != one.get("code") else code,
        tuple(str(url) for url in one.get("profile", ())),
        tuple(str(url) for url in one.get("targetProfile", ())),
    )


def _unfit(definition: dict[str, Any], why: str) -> Invalid:
    name = definition.get("url") or definition.get("id") or "without url"
    return Invalid(
        f"The profile {name} cannot be used: {why}.",
        hint="Correct the StructureDefinition and store it again.",
        slug="profile",
        status=422,
        code="invariant",
    )
