"""What a goal may be; checked by the client before it starts anything, and by the server."""

from serving.errors import BadRequest, TooLarge

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
