"""What a request says beside its words: model, thread, collection, channel; the same for chats and for responses."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph.form import Form
from serving.api.openai.form import form_of
from serving.api.openai.messages import Conversation
from serving.errors import BadRequest, NotFound
from serving.runs.requests.request import RunRequest

MODEL: Final = "trireme"
_CHANNEL: Final = "web"
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512


class Kept(BaseModel):
    """What is given back as it came, with the run; not so `typed`: questions are told as items beside the message."""

    model: str = MODEL
    metadata: dict[str, str] = Field(default_factory=dict)
    user: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    background: bool = False
    store: bool = True
    text: dict[str, Any] = Field(default_factory=lambda: {"format": {"type": "text"}})
    tools: list[Any] = Field(default_factory=list)
    tool_choice: str | dict[str, Any] = "auto"
    typed: bool = True


class Asking(BaseModel):
    """`collection`, `channel`, `thread_id` and `review_plan` may stand in the body (`extra_body`) or in `metadata`; a
    collection also behind the model's name, as in `trireme:handbook`.

    How a model samples (temperature, max_tokens, ...) is left to the routes: such fields are taken and not used. So are
    `tools`, which apps like Open WebUI offer with every message: the agent has its own, and calls none of the client's
    but one that must be called (`tool_choice`), with the answer for its arguments.
    """

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200)
    stream: bool | None = False
    user: str | None = Field(default=None, max_length=500)
    metadata: dict[str, Any] | None = None
    tools: Any = None
    tool_choice: str | dict[str, Any] | None = None
    collection: str | None = None
    channel: str | None = None
    thread_id: str | None = None
    review_plan: bool | None = None

    def checked(self, *others: str) -> None:
        """`others`: models beside the agent. Raises BadRequest for what would mean something else here, NotFound."""
        formed = self.form()
        if self.model not in others and self.model.partition(":")[0] != MODEL:
            hint = f"GET /v1/models lists them; {MODEL} is the agent"
            raise NotFound(f"the model {self.model[:60]!r} does not exist", hint, "model_not_found")
        if formed and self.model in others:
            hint = "leave response_format, text.format and tool_choice out, or ask the agent"
            raise BadRequest(f"the graph {self.model[:60]!r} gives answers of its own form", hint, "unsupported")
        pairs = self.metadata or {}
        if len(pairs) > _MOST_PAIRS or any(
            not isinstance(value, str) or len(value) > _LONGEST_VALUE or len(key) > _LONGEST_KEY
            for key, value in pairs.items()
        ):
            limits = f"at most {_MOST_PAIRS} pairs, keys of {_LONGEST_KEY} and texts of {_LONGEST_VALUE} characters"
            raise BadRequest("`metadata` is not what it may be", limits, "bad_metadata")

    def kept(self) -> Kept:
        return Kept(model=self.model, metadata=self.metadata or {}, user=self.user)

    def asked_form(self) -> tuple[str, Any]:
        """(field, what stands in it)."""
        return "response_format", None

    def form(self, system: str = "") -> Form | None:
        """Which form the answer must have. `system`: what the client's program says, of an object without a schema.

        Raises BadRequest."""
        return form_of(*self.asked_form(), self.tools, self.tool_choice, system)

    def named(self, option: str) -> str:
        """From the body, else from the metadata; empty where neither names it."""
        value = getattr(self, option)
        return str(value if value is not None else (self.metadata or {}).get(option, ""))

    def request(self, said: Conversation, thread_id: str | None, *, begun: bool) -> RunRequest:
        """`begun`: the thread knows what was said. Raises BadRequest, TooLarge."""
        try:
            request = RunRequest(
                goal=said.goal,
                thread_id=thread_id,
                collection=self.named("collection") or self.model.partition(":")[2],
                channel=self.named("channel") or _CHANNEL,
                review_plan=self.named("review_plan").lower() == "true",
                form=self.form(said.system),
                turns=() if begun else said.turns,
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise BadRequest(f"{first['loc'][0]}: {first['msg'].lower()}", "", "invalid_request") from None
        return request.checked()
