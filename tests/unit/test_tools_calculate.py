"""`calculate` is exact, says why it can't, and never guesses what a comma or a percent sign means."""

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.tools.builtin.arithmetic import calculate
from graph.tools.builtin.exact import ArithmeticProblem


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("15% of 2340", "351"),
        ("15 % of 2,340", "351"),
        ("15 percent of 80", "12"),
        ("10% of 20% of 500", "10"),
        ("340 + 15% of 340", "391"),
        ("2340 * 15%", "351"),
        ("100% - 15%", "0.85"),
        ("17 % 5", "2"),
        ("5%2", "1"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("2,340 * 3", "7020"),
        ("1,234,567.89 + 0.11", "1234568"),
        ("(1,200 + 300) * 2", "3000"),
        ("sum(2,340, 1,200)", "3540"),
        ("sum(120,340,560)", "1020"),
        ("sum([1, 2, 3])", "6"),
        ("avg(1, 2, 6)", "3"),
        ("max(3, min(9, 7), abs(-5))", "7"),
        ("round(2.5)", "3"),
        ("round(-2.345, 2)", "-2.35"),
        ("round(1234, -2)", "1200"),
        ("-2 ** 2", "-4"),
        ("2 ** -2", "0.25"),
        ("2 ^ 10 =", "1024"),
        ("10 × 4 ÷ 5 − 1", "7"),
        ("27 ** (1/3)", "3"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("1 / 3", "~0.333333333333"),
        ("2 / 3", "~0.666666666667"),
        ("2 ** 0.5", "~1.41421356237"),
        ("10 ** 60 / 7", "~1.42857142857E+59"),
        ("1e3 + .5", "1000.5"),
    ],
)
def test_the_value_is_exact_or_says_that_it_is_rounded(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("1 / 0", "division by zero"),
        ("5 % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("200 + 15%", "ambiguous"),
        ("sum(1,200,3,400)", "two ways"),
        ("1,23", "','"),
        ("12,34,567", "','"),
        ("2(3)", "'('"),
        ("1 +", "ends too early"),
        ("((1)", "')' is missing"),
        ("", "ends too early"),
        ("sum()", "')'"),
        ("abs(1, 2)", "at most 1"),
        ("round(1, 0.5)", "whole number of places"),
        ("sqrt(4)", "unknown word 'sqrt'"),
        ("__import__('os').getpid()", "can't read"),
        ("(-8) ** (1/3)", "root of a negative"),
        ("9 ** 9 ** 9", "exponent"),
        ("9 ** 999 ** 1 * 9 ** 999", "too large"),
        ("1e9999", "too large"),
        ("(" * 200 + "1", "nested too deeply"),
        ("-" * 500 + "1", "nested too deeply"),
        ("1+" * 600 + "1", "characters"),
    ],
)
def test_what_it_cannot_compute_is_refused_with_the_reason(expression: str, problem: str) -> None:
    with pytest.raises(ArithmeticProblem, match=problem.replace("(", r"\(").replace(")", r"\)")):
        calculate(expression)


def test_the_largest_allowed_work_is_done_at_once() -> None:
    started = time.process_time()
    for expression in ("+".join(["9**400"] * 140), "*".join(["7**9"] * 120), "9**999 / 7**999"):
        assert calculate(expression).startswith("~")
    assert time.process_time() - started < 1


_leaves = st.one_of(
    st.integers(0, 10**6).map(lambda n: (str(n), Fraction(n))),
    st.decimals(0, 10**4, places=3).map(lambda d: (f"{d:f}", Fraction(d))),
    st.integers(1000, 10**9).map(lambda n: (f"{n:,}", Fraction(n))),
)


def _joined(pair: tuple[tuple[str, Fraction], str, tuple[str, Fraction]]) -> tuple[str, Fraction]:
    (left, a), sign, (right, b) = pair
    if sign in ("/", "//", "%") and b == 0:
        sign = "+"
    value = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a / b,
        "//": lambda: Fraction(a // b),
        "%": lambda: a % b,
    }[sign]()
    return f"({left} {sign} {right})", value


def _summed(pairs: list[tuple[str, Fraction]]) -> tuple[str, Fraction]:
    text = ", ".join(text for text, _ in pairs)
    return f"sum({text})", sum((value for _, value in pairs), Fraction())


_expressions = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(_joined),
        inner.map(lambda pair: (f"-{pair[0]}", -pair[1])),
        st.lists(inner, min_size=2, max_size=4).map(_summed),
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(_expressions)
def test_it_agrees_with_fractions_on_any_expression(pair: tuple[str, Fraction]) -> None:
    expression, expected = pair
    printed = calculate(expression)
    if printed.startswith("~"):
        assert abs(Fraction(printed[1:]) - expected) <= abs(expected) * Fraction(1, 10**11)
    else:
        assert Fraction(printed) == expected


@settings(max_examples=150)
@given(st.text(alphabet="0123456789.,+-*/%()[] ofsumaxe^=", max_size=40))
def test_any_text_gives_a_value_or_a_problem(text: str) -> None:
    try:
        value = calculate(text)
    except ArithmeticProblem as problem:
        value = str(problem)
    assert value
