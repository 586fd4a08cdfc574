"""LangGraph Studio: `langgraph dev` runs our graph in its own process, over the same database and with the same models.

For debugging alone. A run here has no row, no queue and no fence: its log, effects and artifacts live as long as the
process, and e-mails go to the outbox. What a person types is redacted with the command line's vault, because the
documents of `trireme run --docs` hold its placeholders; state and answer show them, as the model sees them.
`langgraph dev` itself keeps its inputs in clear under .langgraph_api, which `make studio` removes at the end.
"""

from starlette.applications import Starlette

from graph.build import Host, build
from serving.studio.input import RunInput, RunOutput
from serving.studio.studio import Studio

_studio = Studio()
graph = build(Host(deps=_studio.deps, receive=_studio.receive, accepts=RunInput, returns=RunOutput))
app = Starlette(lifespan=_studio.serve)
