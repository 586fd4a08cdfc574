"""What a chat client is told of the places that an answer rests on."""

from typing import Any

from serving.api.openai.completion import Completion
from serving.api.openai.telling import Words
from serving.runs.view import UsageView


def test_a_source_is_an_annotation_where_the_text_cites_it_first_and_none_where_it_does_not() -> None:
    completion = Completion("1", "trireme", 0, address="http://localhost/runs/1")
    completion.add(Words("A berth costs 48 EUR [2], the speed limit is 3 knots [2]."))
    sources: Any = [{"number": at, "ref": f"r{at}", "path": f"{at}.md"} for at in (1, 2)]
    (note,) = completion.whole(UsageView(), sources)["choices"][0]["message"]["annotations"]
    where = {"start_index": 21, "end_index": 24, "title": "2.md", "url": "http://localhost/runs/1#r2"}
    assert note == {"type": "url_citation", "url_citation": where}
