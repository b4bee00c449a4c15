"""What can be known to be wrong with an expression before any resource is seen.

Types are followed through the tree as far as they are known: `name.given1` on a Patient can find
nothing, ever. Where a type is not known (children(), resolve(), contained) nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace

from sokhoe.fhir.path import kinds
from sokhoe.fhir.path.kinds import PRIMITIVES
from sokhoe.fhir.path.parser import (
    Binary,
    Call,
    Index,
    Member,
    Negative,
    This,
    Tree,
    TypeTest,
    parse,
)

_SAME = {"where", "trace", "distinct", "sort", "skip", "take", "tail", "defineVariable",
         "intersect", "exclude"}  # fmt: skip
_ONE = {"first", "last", "single"}
_IN_ORDER = {"first", "last", "skip", "take", "tail"}
_PER_ITEM = {"where", "select", "all", "exists", "repeat", "repeatAll", "aggregate", "sort",
             "iif", "trace"}  # fmt: skip
_OPEN = {"Resource", "DomainResource", "Element", "BackboneElement", ""}


@dataclass(frozen=True)
class _Found:
    """The types a part may have; None if they are not known."""

    kinds: frozenset[str] | None = None
    many: bool = False
    ordered: bool = True


_UNKNOWN = _Found()


def problems(text: str, kind: str, *, strict: bool = False) -> list[str]:
    """What is surely wrong with an expression on a resource (or element) of that type, in words.

    `strict` adds what R4's own definitions do not keep to: `as()` on several items, and asking for
    the first of what has no order. `Invalid` if the text is no FHIRPath at all.
    """
    check = _Check(strict)
    start = _Found(frozenset({kind}) if kinds.is_known(kind) else None)
    check.follow(parse(text), start)
    return check.found


class _Check:
    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.found: list[str] = []

    def follow(self, tree: Tree, this: _Found) -> _Found:
        match tree:
            case This():
                return this
            case Member(on, name):
                return self.member(self.follow(on, this), name, isinstance(on, This))
            case Index(on, index):
                self.follow(index, this)
                found = self.follow(on, this)
                self.in_order(found, "[ ]")
                return replace(found, many=False)
            case Negative(_, of):
                self.follow(of, this)
            case TypeTest(operator, left, name):
                found = self.follow(left, this)
                return self.typed(operator, found, name)
            case Binary(operator, left, right):
                one, other = self.follow(left, this), self.follow(right, this)
                if operator == "|" and one.kinds is not None and other.kinds is not None:
                    return _Found(one.kinds | other.kinds, many=True)
            case Call():
                return self.call(tree, this)
        return _UNKNOWN

    def member(self, on: _Found, name: str, first: bool) -> _Found:
        if on.kinds is None or on.kinds & _OPEN:
            return replace(_UNKNOWN, many=True)
        if first and any(name in kinds.above(kind) for kind in on.kinds):
            return on
        ways = [way for kind in on.kinds for way in kinds.plan(kind, name)]
        if not ways:
            self.found.append(_no_such(sorted(on.kinds), name))
            return replace(_UNKNOWN, many=True)
        many = on.many or any(way.many for way in ways)
        if any(way.kind in _OPEN for way in ways):
            return _Found(None, many)
        return _Found(frozenset(way.kind for way in ways), many)

    def typed(self, operator: str, on: _Found, name: str) -> _Found:
        wanted = kinds.type_named(name)
        if operator == "is":
            return _UNKNOWN
        if wanted.namespace == "System" or wanted.name in _OPEN:
            return replace(on, kinds=None)
        return replace(on, kinds=frozenset({wanted.name}))

    def in_order(self, on: _Found, what: str) -> None:
        if self.strict and not on.ordered:
            self.found.append(f"{what} asks for an order, but these items have none")

    def call(self, call: Call, this: _Found) -> _Found:
        on = self.follow(call.on, this)
        name, arguments = call.name, call.arguments
        if name in ("is", "as", "ofType") and len(arguments) == 1:
            return self.type_call(name, on, arguments[0])
        if name in _IN_ORDER:
            self.in_order(on, f"{name}()")
        inner = replace(on, many=False) if name in _PER_ITEM else this
        results = [self.follow(argument, inner) for argument in arguments]
        if name == "select" and results:
            return replace(results[0], many=True)
        if name in _SAME:
            return on
        if name in _ONE:
            return replace(on, many=False)
        if name in ("children", "descendants"):
            return _Found(None, many=True, ordered=False)
        if name == "extension":
            return _Found(frozenset({"Extension"}), many=True)
        return replace(_UNKNOWN, many=True)

    def type_call(self, name: str, on: _Found, argument: Tree) -> _Found:
        match argument:
            case Member(Member(This(), namespace), kind):
                wanted = f"{namespace}.{kind}"
            case Member(This(), kind):
                wanted = kind
            case _:
                return _UNKNOWN
        if name == "as" and self.strict and on.many and on.kinds is not None:
            self.found.append("as() needs one item, and there may be several; ofType() takes all")
        return self.typed("as" if name == "ofType" else name, on, wanted)


def _no_such(some: list[str], name: str) -> str:
    kind = some[0] if len(some) == 1 else "None of " + ", ".join(some)
    for one in some:
        for cut in range(1, len(name)):
            rest = name[cut:]
            if rest[0].isupper() and kinds.plan(one, name[:cut]):
                primitive = rest[0].lower() + rest[1:]
                kind_name = primitive if primitive in PRIMITIVES else rest
                return (
                    f"{kind} has no element '{name}' in FHIRPath; "
                    f"write {name[:cut]}.ofType({kind_name})"
                )
    return f"{kind} has no element '{name}'"


def foreseen(text: str, kind: str) -> tuple[list[str], frozenset[str] | None]:
    """As `problems`, of those branches of a union that are about this type at all
    (`Patient.name | Practitioner.name`), and the types that these may give; None: not known."""
    mine = [one for one in _branches(parse(text)) if _is_about(one, kind)]
    if not mine:
        return [f"nothing in it is about {kind}"], frozenset()
    start = _Found(frozenset({kind}) if kinds.is_known(kind) else None)
    check = _Check(False)
    ways = [check.follow(one, start).kinds for one in mine]
    known = [one for one in ways if one is not None]
    return check.found, frozenset[str]().union(*known) if len(known) == len(ways) else None


def _branches(tree: Tree) -> list[Tree]:
    match tree:
        case Binary("|", left, right):
            return [*_branches(left), *_branches(right)]
    return [tree]


def _is_about(tree: Tree, kind: str) -> bool:
    """Whether the first word of a path names this type, one above it, or no type."""
    match tree:
        case Member(This(explicit=False), name):
            return not name[:1].isupper() or name in kinds.above(kind)
        case Member(on, _) | Index(on, _) | TypeTest(_, on, _):
            return _is_about(on, kind)
        case Call(on=on):
            return _is_about(on, kind)
    return True


def functions_in(text: str) -> frozenset[str]:
    """The names of all functions that an expression calls."""
    found: set[str] = set()
    waiting: list[object] = [parse(text)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Call):
            found.add(one.name)
        if isinstance(one, tuple):
            waiting += one
        elif is_dataclass(one) and not isinstance(one, type):
            waiting += [getattr(one, each.name) for each in fields(one)]
    return frozenset(found)
