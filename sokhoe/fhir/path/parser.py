"""FHIRPath text to a tree, by precedence climbing (Pratt), as the grammar orders its operators.

Patient.name.where(use = 'official').given

Call(where, [Binary(=, Member(use), Literal('official'))])
  on Member(name) on Member(Patient), then Member(given)
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sokhoe.fhir.path.lexer import Token, tokens
from sokhoe.fhir.path.moments import Moment
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.values import CALENDAR, Quantity

DEEPEST = 100  # operators and brackets inside each other

# How strongly a binary operator binds; `is` and `as` stand between + and |, which surprises many.
_BINDS = {
    "*": 11, "/": 11, "div": 11, "mod": 11,
    "+": 10, "-": 10, "&": 10,
    "is": 9, "as": 9,
    "|": 8,
    "<": 7, "<=": 7, ">": 7, ">=": 7,
    "=": 6, "~": 6, "!=": 6, "!~": 6,
    "in": 5, "contains": 5,
    "and": 4,
    "xor": 3, "or": 3,
    "implies": 2,
}  # fmt: skip
_UNARY = 12


@dataclass(frozen=True, slots=True)
class Literal:
    value: bool | int | Decimal | str | Moment | Quantity


@dataclass(frozen=True, slots=True)
class Nothing:
    """`{}`"""


@dataclass(frozen=True, slots=True)
class This:
    """What a path begins with when it names nothing else: the item at hand."""

    explicit: bool = False


@dataclass(frozen=True, slots=True)
class Special:
    """`$index`, `$total`"""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`"""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`on.name`; at the beginning of a path `name` may be a type as well."""

    on: Tree
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    on: Tree
    name: str
    arguments: tuple[Tree, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Index:
    on: Tree
    index: Tree


@dataclass(frozen=True, slots=True)
class Negative:
    """`-x` or `+x`"""

    sign: str
    of: Tree


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Tree
    right: Tree
    at: int


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`left is Type` or `left as Type`; the name may have a namespace, `FHIR.Patient`."""

    operator: str
    left: Tree
    type: str


Tree = (
    Literal | Nothing | This | Special | Variable | Member | Call | Index | Negative | Binary
    | TypeTest
)  # fmt: skip


def parse(expression: str) -> Tree:
    """The tree of an expression; `Invalid` says what was expected and where."""
    return _Parser(expression).whole()


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = tokens(expression)
        self.next = 0
        self.depth = 0

    def whole(self) -> Tree:
        tree = self.binary(0)
        if self.peek.kind != "end":
            raise self.unexpected()
        return tree

    @property
    def peek(self) -> Token:
        return self.tokens[self.next]

    def take(self) -> Token:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def unexpected(self, wanted: str = "") -> Exception:
        token = self.peek
        what = "the expression ends too early" if token.kind == "end" else f"'{token.text}'"
        reason = f"unexpected {what}" if token.kind != "end" else what
        return wrong(reason + (f", expected {wanted}" if wanted else ""), self.expression, token.at)

    def expect(self, sign: str) -> None:
        if self.peek.kind != "sign" or self.peek.text != sign:
            raise self.unexpected(f"'{sign}'")
        self.next += 1

    def binary(self, least: int) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise wrong(f"more than {DEEPEST} levels of brackets", code="too-costly")
        left = self.unary()
        chain = 0
        while (token := self.peek).kind in ("sign", "word"):
            strength = _BINDS.get(token.text, 0)
            if strength == 0 or strength <= least:
                break
            chain += 1
            if chain > 4 * DEEPEST:
                raise wrong("too many operators in a row", code="too-costly")
            self.next += 1
            if token.text in ("is", "as"):
                left = TypeTest(token.text, left, self.type_name())
            else:
                left = Binary(token.text, left, self.binary(strength), token.at)
        self.depth -= 1
        return left

    def unary(self) -> Tree:
        if self.peek.kind == "sign" and self.peek.text in "+-":
            return Negative(self.take().text, self.binary(_UNARY))
        return self.postfix(self.term())

    def postfix(self, tree: Tree) -> Tree:
        while self.peek.kind == "sign":
            if self.peek.text == ".":
                self.next += 1
                tree = self.invocation(tree)
            elif self.peek.text == "[":
                self.next += 1
                tree = Index(tree, self.binary(0))
                self.expect("]")
            else:
                break
        return tree

    def invocation(self, on: Tree) -> Tree:
        token = self.peek
        if token.kind == "dollar":
            return self.special()
        if token.kind not in ("word", "quoted"):
            raise self.unexpected("a name")
        self.next += 1
        if self.peek == (("sign", "(", self.peek.at)):
            self.next += 1
            return Call(on, token.text, self.arguments(), token.at)
        return Member(on, token.text)

    def arguments(self) -> tuple[Tree, ...]:
        found: list[Tree] = []
        while not (self.peek.kind == "sign" and self.peek.text == ")"):
            if found:
                self.expect(",")
            found.append(self.binary(0))
        self.next += 1
        return tuple(found)

    def term(self) -> Tree:
        token = self.peek
        match token.kind:
            case "number":
                return self.number()
            case "text":
                self.next += 1
                return Literal(token.text)
            case "date" | "time":
                self.next += 1
                moment = Moment.read(
                    token.text[1:].removeprefix("T") if token.kind == "time" else token.text[1:],
                    "Time" if token.kind == "time" else "DateTime" if "T" in token.text else "Date",
                )
                if moment is None:
                    raise wrong("there is no such date or time", self.expression, token.at)
                return Literal(moment)
            case "dollar":
                return self.special()
            case "word" if token.text in ("true", "false"):
                self.next += 1
                return Literal(token.text == "true")
            case "word" | "quoted":
                return self.invocation(This())
        return self.bracketed()

    def special(self) -> Tree:
        token = self.take()
        if token.text == "$this":
            return This(explicit=True)
        if token.text in ("$index", "$total"):
            return Special(token.text)
        raise wrong(f"unknown '{token.text}'", self.expression, token.at)

    def bracketed(self) -> Tree:
        token = self.take()
        if token.kind == "sign" and token.text == "(":
            tree = self.binary(0)
            self.expect(")")
            return tree
        if token.kind == "sign" and token.text == "{":
            self.expect("}")
            return Nothing()
        if token.kind == "sign" and token.text == "%":
            name = self.take()
            if name.kind in ("word", "quoted", "text"):
                return Variable(name.text)
        self.next -= 1
        raise self.unexpected("a value")

    def number(self) -> Tree:
        text = self.take().text
        token = self.peek
        if token.kind == "text":
            self.next += 1
            return Literal(Quantity(Decimal(text), token.text))
        if token.kind == "word" and token.text in CALENDAR:
            self.next += 1
            return Literal(Quantity(Decimal(text), CALENDAR[token.text], calendar=True))
        return Literal(Decimal(text) if "." in text else int(text))

    def type_name(self) -> str:
        parts = []
        while self.peek.kind in ("word", "quoted"):
            parts.append(self.take().text)
            if self.peek.kind != "sign" or self.peek.text != ".":
                return ".".join(parts)
            if len(parts) == 2:
                return ".".join(parts)
            self.next += 1
        raise self.unexpected("the name of a type")
