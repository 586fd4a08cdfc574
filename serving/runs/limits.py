"""What a goal and an id may be; checked by the client before it starts anything, and by the server."""

import uuid

import orjson

from serving.errors import BadRequest, NotFound, TooLarge

LONGEST_GOAL = 32_000


def check_goal(goal: str) -> None:
    """Raises BadRequest for an empty goal, TooLarge for one over LONGEST_GOAL characters."""
    if not goal.strip():
        raise BadRequest("the goal is empty", "say what you want to know or have done", "goal_empty")
    if len(goal) > LONGEST_GOAL:
        raise TooLarge(
            f"the goal has {len(goal)} characters, at most {LONGEST_GOAL} are taken",
            "put long material into a document folder and refer to it",
            "goal_too_long",
        )


def parse_id(text: str, noun: str) -> str:
    """A UUID in its plain form; `noun` says whose. Raises NotFound for any other text: nothing has it as its id."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        shown = text[:40] + ("..." if len(text) > 40 else "")
        raise NotFound(f"no {noun} {orjson.dumps(shown).decode()}: an id is a UUID", "", f"{noun}_not_found") from None
