"""Operations on fractions within stated sizes, and how a value is printed."""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from typing import Final

_LARGEST_BITS = 4_096
_LARGEST_EXPONENT = 1_000
_EXACT_DIGITS = 50
_ROUNDED_DIGITS = 12


class ArithmeticProblem(Exception):
    """The expression can't be computed; the message says where and why, `hint` how to write it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def bounded(value: Fraction) -> Fraction:
    if _bits(value) > _LARGEST_BITS:
        raise _too_large()
    return value


def divided(sign: str, left: Fraction, right: Fraction) -> Fraction:
    """`*`, `/`, and Python's floored `//` and `%`."""
    if sign == "*":
        return bounded(left * right)
    if right == 0:
        raise _by_zero()
    if sign == "/":
        return bounded(left / right)
    return bounded(Fraction(left // right) if sign == "//" else left % right)


def raised(base: Fraction, exponent: Fraction) -> tuple[Fraction, bool]:
    """(power, whether it is exact): a root is exact when it is a fraction."""
    if abs(exponent) > _LARGEST_EXPONENT:
        raise ArithmeticProblem(f"the exponent is over {_LARGEST_EXPONENT}", "use smaller exponents")
    if base == 0 and exponent < 0:
        raise _by_zero()
    if exponent.denominator != 1:
        return _root(base, exponent)
    if _bits(base) * abs(exponent.numerator) > 2 * _LARGEST_BITS:
        raise _too_large()
    return bounded(Fraction(base**exponent.numerator)), True


def _root(base: Fraction, exponent: Fraction) -> tuple[Fraction, bool]:
    if base < 0:
        raise ArithmeticProblem("a root of a negative number is not a real number", "check the sign")
    with localcontext(Context(prec=_EXACT_DIGITS)):
        power = Decimal(exponent.numerator) / exponent.denominator
        root = Fraction((Decimal(base.numerator) / base.denominator) ** power)
    simple = root.limit_denominator(10**12)
    if exponent.denominator <= 12 and abs(exponent.numerator) <= 12:
        exact = simple**exponent.denominator == base**exponent.numerator
        return bounded(simple if exact else root), exact
    return bounded(root), False


def _rounded(values: Sequence[Fraction]) -> Fraction:
    """Half away from zero, as money is rounded."""
    places = values[1] if len(values) == 2 else Fraction(0)
    if places.denominator != 1 or abs(places) > 20:
        raise ArithmeticProblem("round takes a whole number of places between -20 and 20", "such as round(2.345, 2)")
    scale = Fraction(10) ** int(places)
    whole = (abs(values[0]) * scale + Fraction(1, 2)) // 1
    return Fraction(whole if values[0] >= 0 else -whole) / scale


FUNCTIONS: Final[dict[str, Callable[[Sequence[Fraction]], Fraction]]] = {
    "sum": lambda values: sum(values, Fraction()),
    "min": min,
    "max": max,
    "avg": lambda values: sum(values, Fraction()) / len(values),
    "abs": lambda values: abs(values[0]),
    "round": _rounded,
}
MOST_VALUES: Final = {"abs": 1, "round": 2}


def printed(value: Fraction, exact: bool) -> str:
    """All digits when there are at most 50, else 12 significant digits behind a `~`."""
    if exact and (text := _finite(value)) is not None:
        return text
    with localcontext(Context(prec=_ROUNDED_DIGITS, rounding=ROUND_HALF_UP)):
        rounded = (Decimal(value.numerator) / Decimal(value.denominator)).normalize()
    return f"~{rounded:f}" if -7 < rounded.adjusted() < 21 else f"~{rounded}"


def _finite(value: Fraction) -> str | None:
    with localcontext(Context(prec=_EXACT_DIGITS)):
        number = Decimal(value.numerator) / Decimal(value.denominator)
    if Fraction(number) != value or abs(number.adjusted()) > _EXACT_DIGITS:
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _too_large() -> ArithmeticProblem:
    return ArithmeticProblem("a number becomes too large to compute exactly", "use smaller numbers or exponents")


def _by_zero() -> ArithmeticProblem:
    return ArithmeticProblem("division by zero", "check the divisor")
