"""`draft_email` keeps a draft with the run; `send_email` sends one, after a person has approved it."""

from pydantic import Field

from graph.ports import Artifacts, Email, Mailer
from graph.tools.builtin.artifacts import file_name
from graph.tools.registry import EXTERNAL_DRAFT, EXTERNAL_EFFECT, Arguments, Output, Problem, Tool, ToolContext

_ONE_LINE = r"^[^\r\n]*$"


class EmailArguments(Arguments):
    to: str = Field(min_length=1, max_length=1_000, pattern=_ONE_LINE, description="address, or its placeholder")
    subject: str = Field(min_length=1, max_length=300, pattern=_ONE_LINE)
    body: str = Field(min_length=1, max_length=100_000, description="plain text")


def draft_email(artifacts: Artifacts) -> Tool:
    async def call(arguments: EmailArguments, context: ToolContext) -> Output | Problem:
        name = file_name(f"draft {arguments.subject[:60].replace('/', ' ')} {context.key[:6]}.eml").replace(" ", "-")
        text = f"To: {arguments.to}\nSubject: {arguments.subject}\n\n{arguments.body}\n"
        where = await artifacts.write(name, "message/rfc822", text)
        return Output(data={"name": name, "where": where, "sent": False})

    return Tool(
        name="draft_email",
        description="Write an e-mail as a draft file for a person to send. Nothing is sent.",
        parameters=EmailArguments,
        call=call,
        risk=EXTERNAL_DRAFT,
        reconcile="honours_key",
    )


def send_email(mailer: Mailer) -> Tool:
    async def call(arguments: EmailArguments, context: ToolContext) -> Output | Problem:
        email = Email(to=arguments.to, subject=arguments.subject, body=arguments.body)
        return Output(data={"sent": True, "where": await mailer.send(email, context.key)})

    return Tool(
        name="send_email",
        description="Send an e-mail. A person is asked to approve it first.",
        parameters=EmailArguments,
        call=call,
        risk=EXTERNAL_EFFECT,
        reconcile=mailer.reconcile,
        timeout_s=90.0,
        in_clear=("to",),
    )
