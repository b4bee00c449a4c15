"""The tree turned into nested functions, once; evaluation is then calling the outermost.

    Patient.name.where(use = 'official').given

    member(where(member(head("Patient"), "name"), equal(member(this, "use"), 'official')), "given")

Each takes the `Scope` and returns a list of items. A path step looks its way up by the type of the
node at hand and keeps it, so nothing is parsed or searched twice.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sokhoe.fhir.path import kinds
from sokhoe.fhir.path import operators as op
from sokhoe.fhir.path.functions import FUNCTIONS, LAMBDAS
from sokhoe.fhir.path.kinds import Plan
from sokhoe.fhir.path.parser import (
    Binary,
    Call,
    Index,
    Literal,
    Member,
    Negative,
    Nothing,
    Special,
    This,
    Tree,
    TypeTest,
    Variable,
)
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.scope import Scope, one
from sokhoe.fhir.path.truth import truth
from sokhoe.fhir.path.values import Items, Node, Quantity, TypeInfo, system

Run = Callable[[Scope], Items]

TRUE: Items = [True]
FALSE: Items = [False]


def compiled(tree: Tree) -> Run:
    match tree:
        case Literal(value):
            return _constant([value])
        case Nothing():
            return _constant([])
        case This():
            return _this
        case Special(name):
            return _index if name == "$index" else _total
        case Variable(name):
            return _variable(name)
        case Member(This(explicit=False), name) if name[:1].isupper():
            return _head(name)
        case Member(on, name):
            return _member(compiled(on), name)
        case Index(on, index):
            return _at(compiled(on), compiled(index))
        case Negative(sign, of):
            return _negative(sign, compiled(of))
        case TypeTest(operator, left, name):
            return _typed(operator, compiled(left), name)
        case Binary(operator, left, right):
            return _binary(operator, compiled(left), compiled(right))
        case Call():
            return _call(tree)


def _constant(items: Items) -> Run:
    return lambda scope: items


def _this(scope: Scope) -> Items:
    return scope.this


def _index(scope: Scope) -> Items:
    return [scope.index]


def _total(scope: Scope) -> Items:
    return scope.total


_NAMED = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}


def _variable(name: str) -> Run:
    if name in _NAMED:
        return _constant([_NAMED[name]])

    def variable(scope: Scope) -> Items:
        if name in scope.defined:
            return scope.defined[name]
        if name == "context":
            return scope.root
        if name == "resource":
            return [scope.resource] if scope.resource is not None else []
        if name == "rootResource":
            return [scope.top] if scope.top is not None else []
        if name in scope.world.variables:
            found = scope.world.variables[name]
            some = found if isinstance(found, list) else [found]
            return [kinds.root(item) if isinstance(item, dict) else item for item in some]
        if name.startswith("vs-"):
            return ["http://hl7.org/fhir/ValueSet/" + name[3:]]
        if name.startswith("ext-"):
            return ["http://hl7.org/fhir/StructureDefinition/" + name[4:]]
        raise wrong(f"there is no variable %{name}")

    return variable


def _head(name: str) -> Run:
    """The first word of a path with a capital: the type of what is at hand, or an element."""
    step = _member(_this, name)

    def head(scope: Scope) -> Items:
        for item in scope.this:
            if item.__class__ is Node and name in kinds.above(item.kind):
                return [
                    one
                    for one in scope.this
                    if one.__class__ is Node and name in kinds.above(one.kind)
                ]
        return step(scope)

    return head


def _member(on: Run, name: str) -> Run:
    known: dict[str, Plan] = {}

    def member(scope: Scope) -> Items:
        out: Items = []
        for item in on(scope):
            if item.__class__ is not Node:
                if item.__class__ is TypeInfo and name in ("namespace", "name"):
                    out.append(getattr(item, name))
                continue
            ways = known.get(item.kind)
            if ways is None:
                if not kinds.is_known(item.kind):
                    kinds.untyped(item, name, out)
                    continue
                ways = known[item.kind] = kinds.plan(item.kind, name)
            kinds.elements(item, name, ways, out)
        return out

    return member


def _at(on: Run, index: Run) -> Run:
    def at(scope: Scope) -> Items:
        number = system(one(index(scope), "[ ]"))
        if number is None:
            return []
        if not isinstance(number, int):
            raise wrong("[ ] needs a whole number")
        items = on(scope)
        return items[number : number + 1] if number >= 0 else []

    return at


def _negative(sign: str, of: Run) -> Run:
    def negative(scope: Scope) -> Items:
        items = of(scope)
        if not items:
            return []
        value = system(one(items, f"'{sign}'"))
        if isinstance(value, bool) or not isinstance(value, int | Decimal | Quantity):
            raise wrong(f"'{sign}' needs a number, found {op.text_of(value)}")
        if sign == "+":
            return [value]
        if isinstance(value, Quantity):
            return [Quantity(-value.value, value.unit, value.calendar)]
        return [-value]

    return negative


def _typed(operator: str, on: Run, name: str) -> Run:
    wanted = kinds.type_named(name)

    def is_type(scope: Scope) -> Items:
        items = on(scope)
        if not items:
            return []
        return [kinds.is_a(one(items, "'is'"), wanted)]

    def as_type(scope: Scope) -> Items:
        return [item for item in on(scope) if kinds.is_a(item, wanted, exactly=True)]

    return is_type if operator == "is" else as_type


def _binary(operator: str, left: Run, right: Run) -> Run:
    match operator:
        case "and" | "or" | "xor" | "implies":
            return _logic(operator, left, right)
        case "=" | "!=":
            return _equal(left, right, operator == "=")
        case "~":
            return lambda scope: [op.equivalent(left(scope), right(scope))]
        case "!~":
            return lambda scope: [not op.equivalent(left(scope), right(scope))]
        case "<" | "<=" | ">" | ">=":
            return _ordered(operator, left, right)
        case "|":
            return lambda scope: op.distinct([*left(scope), *right(scope)])
        case "in":
            return _within(left, right)
        case "contains":
            return _within(right, left)
    return _calculated(operator, left, right)


def _calculated(operator: str, left: Run, right: Run) -> Run:
    def calculated(scope: Scope) -> Items:
        found = op.arithmetic(operator, left(scope), right(scope))
        if found and found[0].__class__ is str:
            scope.spend_text(found[0])
        return found

    return calculated


def _equal(left: Run, right: Run, wanted: bool) -> Run:
    def equal(scope: Scope) -> Items:
        one, other = left(scope), right(scope)
        if len(one) == 1 and len(other) == 1:  # by far the most often
            answer = op.equal_items(one[0], other[0])
        else:
            answer = op.equal(one, other)
        return [] if answer is None else TRUE if answer is wanted else FALSE

    return equal


_SIGNS: dict[str, tuple[int, ...]] = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}


def _ordered(sign: str, left: Run, right: Run) -> Run:
    wanted = _SIGNS[sign]

    def ordered(scope: Scope) -> Items:
        answer = op.order(left(scope), right(scope), sign)
        return [] if answer is None else [answer in wanted]

    return ordered


def _within(item: Run, items: Run) -> Run:
    def within(scope: Scope) -> Items:
        found = item(scope)
        if not found:
            return []
        return [op.contains(items(scope), one(found, "'in'"))]

    return within


def _logic(operator: str, left: Run, right: Run) -> Run:
    """Three-valued; the right side is not asked where the left one decides."""

    def both(scope: Scope) -> Items:
        one = truth(left(scope))
        if one is False:
            return FALSE
        other = truth(right(scope))
        return FALSE if other is False else TRUE if one and other else []

    def either(scope: Scope) -> Items:
        one = truth(left(scope))
        if one:
            return TRUE
        other = truth(right(scope))
        return TRUE if other else FALSE if one is False and other is False else []

    def differ(scope: Scope) -> Items:
        one, other = truth(left(scope)), truth(right(scope))
        return [] if one is None or other is None else [one is not other]

    def follows(scope: Scope) -> Items:
        one = truth(left(scope))
        if one is False:
            return TRUE
        other = truth(right(scope))
        return TRUE if other else [] if other is None or one is None else FALSE

    return {"and": both, "or": either, "xor": differ, "implies": follows}[operator]


def _call(call: Call) -> Run:
    on = compiled(call.on)
    count = len(call.arguments)
    if call.name in ("is", "as", "ofType") and count == 1:
        return _type_call(call.name, on, _type_argument(call.arguments[0]))
    if call.name == "sort":
        ordered: Run = LAMBDAS["sort"].make(on, *_sort_keys(call.arguments))
        return ordered
    found = LAMBDAS.get(call.name) or FUNCTIONS.get(call.name)
    if found is None:
        raise wrong(f"there is no function {call.name}()")
    if not found.least <= count <= found.most:
        wanted = found.least if found.least == found.most else f"{found.least} to {found.most}"
        raise wrong(f"{call.name}() takes {wanted} arguments, found {count}")
    arguments = [compiled(argument) for argument in call.arguments]
    if call.name in LAMBDAS:
        made: Run = LAMBDAS[call.name].make(on, *arguments)
        return made
    return _plain(FUNCTIONS[call.name].of, on, arguments)


def _plain(function: Callable[..., Items], on: Run, arguments: list[Run]) -> Run:
    if not arguments:
        return lambda scope: function(scope, on(scope))
    if len(arguments) == 1:
        argument = arguments[0]
        return lambda scope: function(scope, on(scope), argument(scope))

    def plain(scope: Scope) -> Items:
        found: Items = function(scope, on(scope), *[argument(scope) for argument in arguments])
        return found

    return plain


def _type_call(name: str, on: Run, wanted: str) -> Run:
    if name == "ofType":
        return _typed("as", on, wanted)
    return _typed(name, on, wanted)


def _type_argument(tree: Tree) -> str:
    match tree:
        case Member(This(explicit=False), name):
            return name
        case Member(Member(This(explicit=False), namespace), name):
            return f"{namespace}.{name}"
        case Literal(str(name)):
            return name
    raise wrong("a type is expected in the brackets, such as Quantity or FHIR.Patient")


def _sort_keys(arguments: tuple[Tree, ...]) -> list[tuple[bool, Run]]:
    """(descending, key) for each argument; a minus in front means descending, of texts as well."""
    found = []
    for argument in arguments:
        match argument:
            case Negative("-", of):
                found.append((True, compiled(of)))
            case _:
                found.append((False, compiled(argument)))
    return found
