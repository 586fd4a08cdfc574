"""What a caller asks for: a goal and its options. Stored with the run as it came, already redacted."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from graph.bounds import Bounds
from graph.form import Form
from privacy.redact import Redactor
from serving.errors import BadRequest
from serving.runs.requests import forms
from serving.runs.requests.limits import check_goal
from serving.webhooks.address import check_url

_YEAR_S = 366 * 86_400.0
_MOST_TURNS = 50
_Said = Annotated[str, Field(max_length=100_000)]
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,100}")


class RunRequest(BaseModel):
    """`collection` names the documents the run may read; `thread_id` continues a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: str
    thread_id: str | None = None
    if_not_exists: Literal["create", "reject"] = Field(
        default="create", description="where no thread has that thread_id: begin one, or refuse"
    )
    collection: str = Field(default="", description="name of a document collection; empty for none")
    channel: str = Field(default="api", max_length=100, description="whose response profile the answer is written in")
    turns: tuple[tuple[_Said, _Said], ...] = Field(
        default=(),
        max_length=_MOST_TURNS,
        description="(goal, answer) of a talk that begins a new thread, oldest first",
    )
    review_plan: bool = False
    form: Form | None = Field(default=None, description="of an answer that a program reads: JSON by a schema")
    model: str | None = Field(
        default=None, pattern=r"^[^\x00-\x1f]{1,200}$", description="a model_name of routes.yaml for this run"
    )
    bounds: Bounds = Field(default_factory=Bounds)
    priority: int = Field(default=0, ge=-100, le=100, description="a run with a higher one starts first")
    after_seconds: float = Field(default=0.0, ge=0, le=_YEAR_S, description="wait for so long before it starts")

    webhook: str | None = Field(default=None, description="address that is told when the run has ended")

    @field_validator("collection")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if name and not _NAME.fullmatch(name):
            raise ValueError("1 to 100 letters, digits, '.', '_' and '-'")
        return name

    def checked(self) -> "RunRequest":
        """Raises BadRequest for an empty goal or a webhook that is no address, TooLarge for a goal that is too long."""
        check_goal(self.goal)
        if self.webhook is not None:
            check_url(self.webhook)
        return self

    def digest(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def with_bounds(request: RunRequest, bounds: Mapping[str, float]) -> RunRequest:
    """Those that are named take the place of the request's. Raises BadRequest that says which can't be used."""
    try:
        return request.model_copy(update={"bounds": Bounds.model_validate({**request.bounds.model_dump(), **bounds})})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadRequest(
            f"bounds.{first['loc'][0]}: {first['msg']}", f"bounds are {', '.join(Bounds.model_fields)}", "bad_bounds"
        ) from None


def redacted(redactor: Redactor, request: RunRequest) -> RunRequest:
    """The request as it may be stored. CPU-bound. Raises BadRequest for a form that no answer can be kept to."""
    if request.form:
        forms.check_form(request.form)
    said: dict[str, Any] = {"goal": redactor.redact(request.goal)}
    if request.turns:
        turns = redactor.redact_json([list(turn) for turn in request.turns])
        said["turns"] = tuple((goal, answer) for goal, answer in turns)
    if request.form:
        said["form"] = forms.redacted(redactor, request.form)
    return request.model_copy(update=said)
