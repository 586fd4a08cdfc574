"""How a text that no model wrote is shaped for a channel: markup goes, and what only looks like it stays."""

import pytest

from graph.profile import Profile

SPOKEN = Profile(modality="speech")
KEPT = [
    *("12*12 = 144", "2**10 = 1024", "(2+3)*-4 = -20", "2**-1 = 0.5", "3 * 4 = 12", "2*(3+4) = 14", "**"),
    *("[EMAIL_S1]", "[NAME_12] wrote it", "bo_twig@example.com", "bo_@example.com", "exp_plan_2.md", "invoice #1042"),
]


@pytest.mark.parametrize("text", KEPT)
@pytest.mark.parametrize("profile", [Profile(), SPOKEN, Profile(structure="facts", length="full")])
def test_a_sum_a_name_and_a_placeholder_stay_as_they_are(profile: Profile, text: str) -> None:
    assert profile.shaped([text]).removeprefix("- ") == text


def test_markup_is_left_out() -> None:
    text = "# Totals\n**Sum**: 5, `a` and **b c**.\n- **one** (**two**)"
    assert Profile().shaped([text]) == "Totals\nSum: 5, a and b c.\n- one (two)"
    assert SPOKEN.shaped([text, "* _so_ they *say*, “no”"]) == "Totals Sum: 5, a and b c. one (two) so they say, no"
    assert Profile(structure="markdown").shaped([text]) == text


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("**重点**内容", "重点内容"),
        ("**Rent**(EUR)", "Rent(EUR)"),
        ("**Monday**-Friday", "Monday-Friday"),
        ("**Note**s", "Notes"),
    ],
)
def test_words_that_go_on_behind_their_emphasis_lose_both_of_its_marks(text: str, bare: str) -> None:
    assert Profile().shaped([text]) == SPOKEN.shaped([text]) == bare
    assert SPOKEN.shaped(["***both*** and __a *b* c__"]) == "both and a b c"
