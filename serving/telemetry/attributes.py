"""Every name that leaves us on a span, in one table.

`gen_ai.*` are the GenAI conventions of the semantic-conventions-genai repository (status: Development, names of
November 2026), `langfuse.*` what Langfuse's OTLP ingestion reads before those, `trireme.*` our own.
"""

from typing import Final

OPERATION: Final = "gen_ai.operation.name"
AGENT_NAME: Final = "gen_ai.agent.name"
CONVERSATION: Final = "gen_ai.conversation.id"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
ERROR_TYPE: Final = "error.type"

SESSION: Final = "session.id"
TRACE_NAME: Final = "langfuse.trace.name"
TRACE_TAGS: Final = "langfuse.trace.tags"
OBSERVATION_TYPE: Final = "langfuse.observation.type"
OBSERVATION_INPUT: Final = "langfuse.observation.input"
OBSERVATION_OUTPUT: Final = "langfuse.observation.output"
USAGE_DETAILS: Final = "langfuse.observation.usage_details"
COST_DETAILS: Final = "langfuse.observation.cost_details"
PROMPT_ROLE: Final = "langfuse.observation.metadata.prompt_role"
PROMPT_VERSION: Final = "langfuse.observation.metadata.prompt_version"

RUN_ID: Final = "trireme.run.id"
RUN_STATUS: Final = "trireme.run.status"
ANSWER_PARTIAL: Final = "trireme.answer.partial"
STEP_ID: Final = "trireme.step.id"
ATTEMPT: Final = "trireme.attempt"
ROUND: Final = "trireme.round"
STEP_STATUS: Final = "trireme.step.status"
APPROVAL_KIND: Final = "trireme.approval.kind"
APPROVAL_DECISION: Final = "trireme.approval.decision"
EVENT_PREFIX: Final = "trireme."

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"

_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


def provider_of(model: str) -> str:
    """The conventions' name for the provider of a LiteLLM model (`gemini/...`); a bare name is OpenAI's there."""
    prefix, slash, _ = model.partition("/")
    if not slash and not model.startswith("offline"):
        return "openai"
    return _PROVIDERS.get(prefix, prefix)
