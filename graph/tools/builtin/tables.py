"""`query_table`: read-only SQL over the caller's CSV files."""

from pydantic import Field

from graph.ports import Tables
from graph.state import Source
from graph.tools.registry import Arguments, Output, Problem, Tool, ToolContext


class QueryArguments(Arguments):
    sql: str = Field(min_length=1, max_length=10_000, description="one SELECT in DuckDB's dialect")


def query_table(tables: Tables) -> Tool:
    async def call(arguments: QueryArguments, context: ToolContext) -> Output | Problem:
        try:
            result = await tables.query(arguments.sql)
        except ValueError as error:
            return Problem(code="bad_sql", message=str(error), hint="one SELECT over the tables and columns listed")
        sources = tuple(Source(ref=path, path=path) for path in result.tables)
        return Output(data=result.model_dump(), sources=sources)

    return Tool(
        name="query_table",
        description="Answer a question about the tables (CSV files) with one read-only SQL SELECT.",
        parameters=QueryArguments,
        call=call,
    )
