"""`calculate`: exact arithmetic for the model."""

from pydantic import Field

from graph.tools.builtin.arithmetic import calculate
from graph.tools.builtin.exact import ArithmeticProblem
from graph.tools.registry import Arguments, Output, Problem, Tool, ToolContext


class CalculateArguments(Arguments):
    expression: str = Field(min_length=1, max_length=1_000, description="such as 15% of 2340 or (1200 + 340) / 7")


async def _call(arguments: CalculateArguments, context: ToolContext) -> Output | Problem:
    try:
        value = calculate(arguments.expression)
    except ArithmeticProblem as problem:
        return Problem(code="bad_expression", message=str(problem), hint=problem.hint)
    return Output(data={"expression": arguments.expression, "value": value})


CALCULATE = Tool(
    name="calculate",
    description=(
        "Compute a number exactly: + - * / // % **, parentheses, percentages (15% of 2340), "
        "sum, min, max, avg, round, abs. A value that starts with ~ is rounded to 12 digits."
    ),
    parameters=CalculateArguments,
    call=_call,
)
