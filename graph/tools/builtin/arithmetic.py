"""Exact arithmetic over fractions: a small grammar of its own, nothing is evaluated by Python.

sum     := term (("+" | "-") term)*
term    := unary (("*" | "/" | "//" | "%") unary)*
unary   := ("+" | "-") unary | power
power   := percent ("**" unary)?
percent := atom ("%" ("of" unary)?)?
atom    := NUMBER | "(" sum ")" | FUNCTION "(" list ")"

A `%` is a percent sign unless a value follows it; thousands separators are read where they can mean nothing else.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from graph.tools.builtin.exact import FUNCTIONS, MOST_VALUES, ArithmeticProblem, bounded, divided, printed, raised

LONGEST = 1_000
_DEEPEST = 40
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?)|(?P<word>[A-Za-z]+)|(?P<sign>\*\*|//|[-+*/%(),\[\]]))",
    re.ASCII,
)
_SAME = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "\u00a0": " ", "\u202f": " ", "’": "'"})
_GROUPED = re.compile(r"\d{3}(?:\.\d*)?")


@dataclass(frozen=True, slots=True)
class Token:
    """`tight`: no space on either side, as in 2,340."""

    kind: str
    text: str
    start: int
    tight: bool


@dataclass(frozen=True, slots=True)
class Operand:
    value: Fraction
    percent: bool = False


def calculate(expression: str) -> str:
    """The value, exactly, or to 12 significant digits with a leading `~`. Raises ArithmeticProblem."""
    parser = _Parser(expression)
    value = parser.parse()
    return printed(value, parser.exact)


def _tokens(text: str) -> list[Token]:
    tokens, position = [], 0
    text = text.translate(_SAME).replace("^", "**").rstrip().rstrip("=").rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:].strip()
            raise ArithmeticProblem(
                f"can't read {rest[:20]!r}", f"use numbers, + - * / // % **, parentheses and {', '.join(FUNCTIONS)}"
            )
        kind = str(match.lastgroup)
        start, position = match.start(kind), match.end()
        tight = start == match.start() and position < len(text) and not text[position].isspace()
        tokens.append(Token(kind, match[kind].lower(), start, tight))
    return [*tokens, Token("end", "", len(text), False)]


class _Parser:
    """One expression. `exact` turns False when a root had to be approximated."""

    def __init__(self, expression: str) -> None:
        if len(expression) > LONGEST:
            raise ArithmeticProblem(f"the expression has {len(expression)} characters, more than {LONGEST}", "split it")
        self._tokens = _tokens(expression)
        self._at = 0
        self._depth = 0
        self._grouping = True
        self.exact = True

    def parse(self) -> Fraction:
        operand = self._sum()
        if self._next.kind != "end":
            raise self._unexpected()
        return operand.value

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str | None:
        token = self._next
        if token.text not in texts or token.kind == "end":
            return None
        self._at += 1
        return token.text

    def _expect(self, text: str) -> None:
        if self._take(text) is None:
            raise self._unexpected(f", {text!r} is missing")

    def _unexpected(self, more: str = "") -> ArithmeticProblem:
        token = self._next
        what = "ends too early" if token.kind == "end" else f"has {token.text!r} at character {token.start + 1}"
        return ArithmeticProblem(f"the expression {what}{more}", "write it like (1200 + 340) * 15 / 100")

    def _sum(self) -> Operand:
        left = self._term()
        while sign := self._take("+", "-"):
            right = self._term()
            if right.percent and not left.percent:
                raise ArithmeticProblem(
                    f"{sign} a percentage is ambiguous", "say of what, such as 340 + 15% of 340, or write 340 * 1.15"
                )
            value = left.value + right.value if sign == "+" else left.value - right.value
            left = Operand(bounded(value), left.percent and right.percent)
        return left

    def _term(self) -> Operand:
        left = self._unary()
        while sign := self._take("*", "//", "/", "%"):
            left = Operand(divided(sign, left.value, self._unary().value))
        return left

    def _unary(self) -> Operand:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ArithmeticProblem("the expression is nested too deeply", "split it into several calls")
        sign = self._take("+", "-")
        operand = self._unary() if sign else self._power()
        self._depth -= 1
        return Operand(-operand.value, operand.percent) if sign == "-" else operand

    def _power(self) -> Operand:
        base = self._percent()
        if not self._take("**"):
            return base
        value, exact = raised(base.value, self._unary().value)
        self.exact = self.exact and exact
        return Operand(value)

    def _percent(self) -> Operand:
        value = self._atom()
        if not (self._take("percent") or (self._next.text == "%" and self._is_percent_sign() and self._take("%"))):
            return Operand(value)
        share = value / 100
        return Operand(bounded(share * self._unary().value)) if self._take("of") else Operand(share, percent=True)

    def _is_percent_sign(self) -> bool:
        """`17 % 5` is a remainder; `15% of`, `15%)`, `15% * 3` and `15% - 3` are percentages; so `17 % -5` is not."""
        following = self._tokens[self._at + 1]
        if following.text in ("+", "-"):
            return self._next.start == self._end_of_previous()
        return following.text == "of" or not (following.kind in ("number", "word") or following.text == "(")

    def _end_of_previous(self) -> int:
        previous = self._tokens[self._at - 1]
        return previous.start + len(previous.text)

    def _atom(self) -> Fraction:
        token = self._next
        if token.kind == "number":
            return self._number()
        if self._take("("):
            outer, self._grouping = self._grouping, True
            value = self._sum().value
            self._expect(")")
            self._grouping = outer
            return value
        if token.kind == "word":
            return self._function(token.text)
        raise self._unexpected()

    def _number(self) -> Fraction:
        text = self._tokens[self._at].text
        self._at += 1
        if self._grouping and text.isdigit() and len(text) <= 3:
            while "." not in text and self._is_group(self._at):
                text += self._tokens[self._at + 1].text
                self._at += 2
        return bounded(Fraction(text))

    def _is_group(self, at: int) -> bool:
        """Whether tokens `at` and `at + 1` go on a number as in 2,340 or 1,234,567.89."""
        comma, digits = self._tokens[at], self._tokens[min(at + 1, len(self._tokens) - 1)]
        return comma.text == "," and comma.tight and _GROUPED.fullmatch(digits.text) is not None

    def _function(self, name: str) -> Fraction:
        if name not in FUNCTIONS:
            raise ArithmeticProblem(f"unknown word {name!r}", f"the functions are {', '.join(FUNCTIONS)}")
        self._at += 1
        self._expect("(")
        outer, self._grouping = self._grouping, self._commas_group()
        closing = "]" if self._take("[") else ""
        values = [self._sum().value]
        while self._take(","):
            values.append(self._sum().value)
        if closing:
            self._expect(closing)
        self._expect(")")
        self._grouping = outer
        if len(values) > MOST_VALUES.get(name, len(values)):
            raise ArithmeticProblem(f"{name} takes at most {MOST_VALUES[name]} values, not {len(values)}")
        return bounded(FUNCTIONS[name](values))

    def _commas_group(self) -> bool:
        """Whether 2,340 is one number in the call that starts here: only when other commas have a space."""
        commas = self._commas_of_call()
        groups = [at for at in commas if self._is_group(at) and self._tokens[at - 1].text.isdigit()]
        spaced = [at for at in commas if not self._tokens[at].tight]
        if not groups:
            return False
        if spaced and len(groups) + len(spaced) == len(commas):
            return True
        if not spaced and len(groups) == len(commas) and self._is_one_number(commas):
            return False
        raise ArithmeticProblem(
            "the commas can be read in two ways", "write numbers without thousands separators, such as sum(2340, 1200)"
        )

    def _is_one_number(self, commas: list[int]) -> bool:
        first = self._tokens[commas[0] - 1].text
        return len(first) <= 3 and all(b - a == 2 for a, b in pairwise(commas))

    def _commas_of_call(self) -> list[int]:
        depth, found = 0, []
        for at in range(self._at, len(self._tokens)):
            text = self._tokens[at].text
            depth += (text == "(") - (text == ")")
            if depth < 0:
                break
            if depth == 0 and text == ",":
                found.append(at)
        return found
