"""The `regex` filter of a value set, in time that grows with the text alone.

A pattern out of a value set is foreign input, and Python's `re` can be made to run for years by
one of twenty letters (`(a+)+$`). So patterns are read here into a small machine that looks at each
letter of a code once (Thompson 1968), and remembers what it found (a DFA, built as it is used):

    a(b|c)*   →   0 ─a→ 1 ─b→ 1        states after each letter: {0} → {1} → {1} …
                      └─c→ 1

Read: letters, `.`, classes with ranges and `^`, `\\d \\w \\s \\D \\W \\S`, escaped signs, groups,
`|`, `* + ?`, `{n} {n,} {n,m}` up to 256; `^` at the start and `$` at the end say what holds
anyway, since the whole text must fit. Look-around and back references are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from sokhoe.errors import Invalid

Test = Callable[[str], bool]
LONGEST = 400  # letters of a pattern
MOST_TIMES = 256
MOST_STATES = 5_000
REMEMBERED = 2_000  # sets of states; beyond that they are worked out again
_SETS: dict[str, Test] = {
    "d": str.isdecimal,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
}
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}

# A node: ("test", Test) | ("seq", nodes) | ("or", nodes) | ("times", node, least, most or -1)
Node = tuple[object, ...]


class Regex:
    """`Regex("J0[0-6].*").fits("J06.9")`; raises Invalid for a pattern it does not read."""

    def __init__(self, pattern: str) -> None:
        tree = _Reader(pattern).read()
        self._tests: list[Test | None] = []
        self._next: list[list[int]] = []
        self._end = self._state(None)
        start = self._build(tree, self._end)
        self._start = self._close({start})
        self._moves: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def fits(self, text: str) -> bool:
        """Whether the whole text fits."""
        states = self._start
        for letter in text:
            states = self._move(states, letter)
            if not states:
                return False
        return self._end in states

    def _move(self, states: frozenset[int], letter: str) -> frozenset[int]:
        key = states, letter
        found = self._moves.get(key)
        if found is None:
            reached = set()
            for state in states:
                test = self._tests[state]
                if test is not None and test(letter):
                    reached.update(self._next[state])
            found = self._close(reached)
            if len(self._moves) >= REMEMBERED:
                self._moves.clear()
            self._moves[key] = found
        return found

    def _close(self, states: set[int]) -> frozenset[int]:
        """With all that is reached without a letter."""
        seen, waiting = set(states), list(states)
        while waiting:
            state = waiting.pop()
            if self._tests[state] is None:
                for one in self._next[state]:
                    if one not in seen:
                        seen.add(one)
                        waiting.append(one)
        return frozenset(one for one in seen if self._tests[one] is not None or one == self._end)

    def _state(self, test: Test | None) -> int:
        if len(self._tests) >= MOST_STATES:
            raise _refused("it is too large")
        self._tests.append(test)
        self._next.append([])
        return len(self._tests) - 1

    def _build(self, node: Node, after: int) -> int:
        """The state from which this node, and then `after`, is read."""
        kind = node[0]
        if kind == "test":
            state = self._state(node[1])  # type: ignore[arg-type]
            self._next[state].append(after)
            return state
        if kind == "seq":
            for one in reversed(node[1]):  # type: ignore[call-overload]
                after = self._build(one, after)
            return after
        fork = self._state(None)
        if kind == "or":
            self._next[fork] += [self._build(one, after) for one in node[1]]  # type: ignore[attr-defined]
            return fork
        _, inner, least, most = node
        assert isinstance(inner, tuple) and isinstance(least, int) and isinstance(most, int)
        if most < 0:
            self._next[fork] += [self._build(inner, fork), after]
            head = fork
        else:
            self._next[fork].append(after)
            head = fork
            for _ in range(most - least):
                option = self._state(None)
                self._next[option] += [self._build(inner, head), after]
                head = option
        for _ in range(least):
            head = self._build(inner, head)
        return head


class _Reader:
    def __init__(self, pattern: str) -> None:
        if len(pattern) > LONGEST:
            raise _refused(f"it is longer than {LONGEST} letters")
        self._text = pattern.removeprefix("^")
        if self._text.endswith("$") and not self._text.endswith("\\$"):
            self._text = self._text[:-1]
        self._at = 0
        self._deep = 0

    def read(self) -> Node:
        tree = self._choice()
        if self._at < len(self._text):
            raise _refused(f"')' at letter {self._at + 1} closes nothing")
        return tree

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        letter = self._peek()
        if not letter:
            raise _refused("it ends too early")
        self._at += 1
        return letter

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else ("or", options)

    def _sequence(self) -> Node:
        found: list[Node] = []
        while self._peek() not in {"", "|", ")"}:
            found.append(self._times(self._one()))
        return ("seq", found)

    def _times(self, node: Node) -> Node:
        while (sign := self._peek()) in {"*", "+", "?", "{"} and sign:
            self._at += 1
            least, most = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}.get(sign) or self._counts()
            node = ("times", node, least, most)
            if self._peek() in {"?", "+"}:  # lazy and possessive find the same whole texts
                self._at += 1
        return node

    def _counts(self) -> tuple[int, int]:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at : max(end, self._at)].partition(",")
        good = end > 0 and low.isdecimal() and (not high or high.isdecimal())
        least = int(low) if good else 0
        most = least if not comma else int(high) if high and good else -1
        if not good or (0 <= most < least) or max(least, most) > MOST_TIMES:
            raise _refused(f"the count at letter {self._at} is not {{n}}, {{n,}} or {{n,m}}")
        self._at = end + 1
        return least, most

    def _one(self) -> Node:
        letter = self._take()
        if letter == "(":
            return self._group()
        if letter == "[":
            return ("test", self._class())
        if letter == ".":
            return ("test", lambda c: c != "\n")
        if letter == "\\":
            return ("test", self._escape())
        if letter in "*+?{":
            raise _refused(f"{letter!r} at letter {self._at} repeats nothing")
        if letter in "^$":
            raise _refused(f"{letter!r} may stand at the very start or end only")
        return ("test", letter.__eq__)

    def _group(self) -> Node:
        self._deep += 1
        if self._deep > 50:
            raise _refused("it is nested too deeply")
        if self._peek() == "?":
            self._at += 1
            if self._take() != ":":
                raise _refused("of groups that begin with (? only (?:…) is read")
        inner = self._choice()
        if self._peek() != ")":
            raise _refused("a group is not closed")
        self._at += 1
        self._deep -= 1
        return inner

    def _escape(self) -> Test:
        letter = self._take()
        if letter.lower() in _SETS:
            test = _SETS[letter.lower()]
            return test if letter.islower() else lambda c: not test(c)
        if letter.isalnum() and letter not in _PLAIN:
            raise _refused(f"\\{letter} is not read")
        return _PLAIN.get(letter, letter).__eq__

    def _class(self) -> Test:
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        tests: list[Test] = []
        first = True
        while (letter := self._take()) != "]" or first:
            first = False
            if letter == "\\":
                sign = self._take()
                if sign.lower() in _SETS:
                    self._at -= 1
                    tests.append(self._escape())
                    continue
                if sign.isalnum() and sign not in _PLAIN:
                    raise _refused(f"\\{sign} is not read")
                letter = _PLAIN.get(sign, sign)
            last = letter
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._at += 1
                last = self._take()
                if last == "\\":
                    last = self._take()
                if last < letter:
                    raise _refused(f"the range {letter}-{last} runs backwards")
            ranges.append((letter, last))

        def test(c: str) -> bool:
            inside = any(low <= c <= high for low, high in ranges) or any(one(c) for one in tests)
            return inside is not negated

        return test


@lru_cache(maxsize=64)
def compiled(pattern: str) -> Regex:
    """The same pattern is read once."""
    return Regex(pattern)


def _refused(why: str) -> Invalid:
    return Invalid(
        f"This regular expression cannot be used: {why}.",
        hint="Plain expressions are read: classes, groups, |, * + ? {n,m}; no look-around.",
        slug="regex",
        code="value",
        status=422,
    )
