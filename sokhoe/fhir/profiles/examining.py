"""A resource held against a profile: every place where it does not fit, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir import definitions
from sokhoe.fhir.path import Node, World, expression, kinds, system
from sokhoe.fhir.path import operators as op
from sokhoe.fhir.path.kinds import PRIMITIVES, above
from sokhoe.fhir.path.truth import truth
from sokhoe.fhir.plain import nearest
from sokhoe.fhir.profiles.rules import BASE, Kind, Load, Profile, Rule, compiled, is_base
from sokhoe.fhir.profiles.slicing import Matcher, discriminators, fits_pattern, same_json

DEEPEST = 12  # profiles within profiles
MOST_CHECKS = 500_000
_CODED = {"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"}
_KNOWN = {"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "ref-1"}


class Examiner:
    """Examines one resource; profiles are loaded and compiled once for it."""

    def __init__(self, load: Load, world: World) -> None:
        self.load = load
        self.world = world
        self.left = MOST_CHECKS
        self._profiles: dict[str, Profile | Issue] = {}
        self._told: set[str] = set()
        self._matcher = Matcher(world, self._conforms)
        self._depth = 0

    def issues(
        self, node: Node, url: str, resource: Node, top: Node, *, severity: str = "warning"
    ) -> Iterator[Issue]:
        """Where a node does not fit a profile. An unknown profile is one issue of that severity."""
        if is_base(url):
            name = url.partition("|")[0].removeprefix(BASE)
            if name not in above(node.kind):
                yield Issue(
                    f"This is a {node.kind}, and {name} is asked for.", node.place, "structure"
                )
            return
        profile = self._profile(url, node.place, severity)
        if isinstance(profile, Issue):
            yield profile
            return
        if profile.kind not in above(node.kind):
            yield Issue(
                f"The profile {url} is for {profile.kind}, and this is a {node.kind}.",
                node.place,
                "structure",
            )
            return
        for missing in profile.missing:
            yield Issue(
                f"The profile {url} is based on {missing}, which is not known here; only what it "
                "says itself is checked.",
                node.place,
                "not-found",
                "warning",
            )
        if self._depth >= DEEPEST:
            yield Issue(
                f"Profiles refer to each other more than {DEEPEST} deep; {url} is not followed.",
                node.place,
                "too-costly",
                "warning",
            )
            return
        self._depth += 1
        yield from self._inside(node, profile.root, resource, top, url)
        self._depth -= 1

    def _profile(self, url: str, place: str, severity: str) -> Profile | Issue:
        found = self._profiles.get(url)
        if found is None:
            definition = self.load(url)
            if definition is None:
                found = Issue(
                    f"The profile {url} is not known here, so nothing was checked against it. "
                    "Store its StructureDefinition first.",
                    place,
                    "not-found",
                    severity,
                )
            else:
                try:
                    found = compiled(definition, self.load)
                except Invalid as error:
                    found = Issue(error.message, place, "invariant", severity)
            self._profiles[url] = found
        return found

    def _conforms(self, node: Node, url: str) -> bool:
        return not any(
            one.severity == "error" for one in self.issues(node, url, node, node, severity="error")
        )

    def _inside(
        self, node: Node, rule: Rule, resource: Node, top: Node, url: str
    ) -> Iterator[Issue]:
        """What a rule says of one node and of all below it."""
        self.left -= 1
        if self.left < 0:
            raise Invalid(
                "Checking the profiles takes more steps than are allowed.",
                slug="too-costly",
                code="too-costly",
                status=422,
            )
        yield from self._values(node, rule, url)
        yield from self._binding(node, rule, url)
        yield from self._constraints(node, rule, resource, top)
        yield from self._kind(node, rule, resource, top, url)
        for name, child in rule.children.items():
            nodes: list[Any] = []
            kinds.elements(node, name, kinds.plan(node.kind, name), nodes)
            yield from self._element(node, child, nodes, resource, top, url)

    def _element(
        self, parent: Node, rule: Rule, nodes: list[Node], resource: Node, top: Node, url: str
    ) -> Iterator[Issue]:
        at = f"{parent.place}.{rule.name}"
        yield from _counted(rule, len(nodes), at, rule.name, url)
        for node in nodes:
            own = node if "resourceType" in _keys(node) else resource
            outer = top if node.name == "contained" or own is resource else node
            yield from self._inside(node, rule, own, outer, url)
        if rule.slices:
            yield from self._sliced(rule, nodes, at, resource, top, url)

    def _sliced(
        self, rule: Rule, nodes: list[Node], at: str, resource: Node, top: Node, url: str
    ) -> Iterator[Issue]:
        if not discriminators(rule):
            if at not in self._told:
                self._told.add(at)
                yield Issue(
                    f"The slices of {rule.name} in {url} cannot be told apart: the profile names "
                    "no discriminator.",
                    at,
                    "incomplete",
                    "warning",
                )
            return
        members: dict[str, list[Node]] = {name: [] for name in rule.slices}
        order = list(rule.slices)
        reached, unmatched = 0, False
        for node in nodes:
            name = self._matcher.slice_of(node, rule, resource, top)
            if name is None:
                unmatched = True
                if rule.closed == "closed":
                    yield Issue(
                        f"This {rule.name} fits none of the slices {', '.join(order)}, and {url} "
                        "allows no others.",
                        node.place,
                        "structure",
                    )
                continue
            members[name].append(node)
            if unmatched and rule.closed == "openAtEnd":
                yield Issue(
                    f"'{name}' must stand before those {rule.name} that fit no slice ({url}).",
                    node.place,
                    "structure",
                )
            if rule.ordered and order.index(name) < reached:
                yield Issue(
                    f"'{name}' must stand before '{order[reached]}' ({url}).",
                    node.place,
                    "structure",
                )
            reached = max(reached, order.index(name))
        for name, some in rule.slices.items():
            if name == "@default":
                continue
            yield from _counted(some, len(members[name]), at, f"{rule.name}:{name}", url)
            for node in members[name]:
                yield from self._inside(node, some, resource, top, url)
                if some.slices:
                    yield from self._sliced(some, [node], node.place, resource, top, url)

    def _values(self, node: Node, rule: Rule, url: str) -> Iterator[Issue]:
        if rule.fixed is not None and not same_json(node.value, rule.fixed):
            yield Issue(f"The value must be {_shown(rule.fixed)} ({url}).", node.place, "value")
        if rule.pattern is not None and not fits_pattern(node.value, rule.pattern):
            yield Issue(f"The value must hold {_shown(rule.pattern)} ({url}).", node.place, "value")
        for name, bound in rule.bounds.items():
            value = node.value
            if name == "maxLength":
                if isinstance(value, str) and isinstance(bound, int) and len(value) > bound:
                    yield Issue(
                        f"The text may have {bound} characters, it has {len(value)} ({url}).",
                        node.place,
                        "too-long",
                    )
                continue
            try:
                other = system(Node(bound, node.kind))
                order = op.order([system(node)], [other], "<")
            except Invalid:
                continue
            if order is not None and order == (-1 if name == "minValue" else 1):
                word = "least" if name == "minValue" else "most"
                yield Issue(
                    f"The value must be at {word} {_shown(bound)} ({url}).", node.place, "value"
                )

    def _binding(self, node: Node, rule: Rule, url: str) -> Iterator[Issue]:
        binding = rule.binding
        if binding is None or node.kind not in _CODED or node.value is None:
            return
        if binding.strength not in ("required", "extensible"):
            return
        ask = self.world.member_of
        answer = None if ask is None else ask(node.value, binding.value_set)
        if answer is None:
            if binding.value_set not in self._told:
                self._told.add(binding.value_set)
                yield Issue(
                    f"The value set {binding.value_set} is not known here; whether its codes are "
                    "used was not checked.",
                    node.place,
                    "not-found",
                    "information",
                )
        elif not answer:
            required = binding.strength == "required"
            yield Issue(
                f"The code must be from {binding.value_set}"
                f"{'' if required else ' if one of it fits'} ({url}).",
                node.place,
                "code-invalid",
                "error" if required else "warning",
            )

    def _constraints(self, node: Node, rule: Rule, resource: Node, top: Node) -> Iterator[Issue]:
        for key, one in rule.constraints.items():
            if key in _KNOWN or key in _of_r4(node.kind):
                continue
            try:
                test = expression(one["expression"])
                answer = truth(test.nodes(node, self.world, resource=resource, top=top))
            except Invalid as error:
                yield Issue(
                    f"The rule {key} could not be asked: {error.message}",
                    node.place,
                    "not-supported",
                    "warning",
                    f"{key}: {one['expression']}",
                )
                continue
            if answer is False:
                human = str(one.get("human", "A rule of the profile is broken"))
                yield Issue(
                    f"{human.rstrip('. ')} ({key}).",
                    node.place,
                    "invariant",
                    "warning" if one.get("severity") == "warning" else "error",
                    f"{key}: {one['expression']}",
                )

    def _kind(self, node: Node, rule: Rule, resource: Node, top: Node, url: str) -> Iterator[Issue]:
        """The types an element may have, and the profiles those bring."""
        if not rule.kinds or node.up is None:
            return
        fitting = [one for one in rule.kinds if _is(node, one.code)]
        if not fitting:
            names = ", ".join(one.code for one in rule.kinds)
            yield Issue(
                f"The type {node.kind} is not allowed here, only {names} ({url}).",
                node.place,
                "structure",
            )
            return
        profiles = [one for kind in fitting for one in kind.profiles]
        if profiles and all(kind.profiles for kind in fitting):
            yield from self._one_of(node, profiles, resource, top)
        targets = [one for kind in fitting for one in kind.targets]
        if targets and node.kind == "Reference":
            yield from self._target(node, targets, resource, top, url)

    def _one_of(
        self, node: Node, profiles: list[str], resource: Node, top: Node
    ) -> Iterator[Issue]:
        """One of the profiles must fit; the problems told are those with the first."""
        own = node if "resourceType" in _keys(node) else resource
        first: list[Issue] | None = None
        for url in profiles:
            found = list(self.issues(node, url, own, top))
            if not any(one.severity == "error" for one in found):
                yield from found
                return
            first = first or found
        yield from first or ()

    def _target(
        self, node: Node, targets: list[str], resource: Node, top: Node, url: str
    ) -> Iterator[Issue]:
        found = [
            one
            for one in expression("resolve()").nodes(node, self.world, resource=resource, top=top)
            if isinstance(one, Node)
        ]
        kind = found[0].kind if found else _kind_in(node.value)
        if not kind:
            return
        names = {one: self._kind_of(one) for one in targets}
        fitting = [one for one, name in names.items() if not name or name in above(kind)]
        if not fitting:
            wanted = ", ".join(sorted({name for name in names.values() if name}))
            yield Issue(
                f"A reference to {kind} is not allowed here, only to {wanted} ({url})."
                + nearest(kind, set(names.values())),
                f"{node.place}.reference",
                "value",
            )
        elif (
            found
            and not any(is_base(one) for one in fitting)
            and not any(self._conforms(found[0], one) for one in fitting)
        ):
            yield Issue(
                f"The {kind} referred to does not fit {', '.join(fitting)} ({url}).",
                f"{node.place}.reference",
                "value",
            )

    def _kind_of(self, url: str) -> str:
        """The type a profile is for; "" if it is not known."""
        if is_base(url):
            return url.partition("|")[0].removeprefix(BASE)
        profile = self._profile(url, "", "warning")
        return profile.kind if isinstance(profile, Profile) else ""


def _counted(rule: Rule, count: int, at: str, name: str, url: str) -> Iterator[Issue]:
    if count < rule.least:
        wish = "is needed" if rule.least == 1 else f"is needed {rule.least} times"
        yield Issue(f"'{name}' {wish}, found {count} ({url}).", at, "required")
    if rule.most is not None and count > rule.most:
        wish = "may not be given" if rule.most == 0 else f"may be given {rule.most} times"
        yield Issue(f"'{name}' {wish}, found {count} ({url}).", at, "structure")


def _is(node: Node, code: str) -> bool:
    return code in above(node.kind) or (code == "string" and node.kind in PRIMITIVES and
                                        node.name in ("id", "url"))  # fmt: skip


def _keys(node: Node) -> Any:
    return node.value if isinstance(node.value, dict) else ()


def _kind_in(reference: Any) -> str:
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str):
        return ""
    parts = text.split("/")
    at = -4 if len(parts) > 3 and parts[-2] == "_history" else -2
    return parts[at] if len(parts) >= -at and parts[at] in definitions.TYPES else ""


def _of_r4(kind: str) -> set[str]:
    return {one.key for name in above(kind) for one in definitions.invariants(name)}


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "…"


__all__ = ["Examiner", "Kind"]
