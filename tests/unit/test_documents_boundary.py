"""What may leave the client, and what the client's process has to import for it."""

import pickle
import subprocess
import sys

import pytest

from privacy.redact import Redacted, from_record
from serving.documents.document import ParsedDocument, Section, StoredDocument, StoredSection

PARSED = ParsedDocument("a.md", "text/markdown", "0" * 64, (Section("Head", 3, "Body."),))


def test_a_parsed_document_becomes_storable_only_through_a_redactor() -> None:
    stored = PARSED.redacted(lambda text: from_record(text.replace("Body", "[PERSON_1]")))
    assert stored.sections == (StoredSection(from_record("Head"), 3, from_record("[PERSON_1].")),)
    assert stored.body == "[page 3]\n# Head\n[PERSON_1]."
    assert stored.headings == ("Head",)


@pytest.mark.parametrize("field", ["heading", "text"])
def test_a_section_of_plain_text_is_refused(field: str) -> None:
    texts: dict[str, str] = {"heading": from_record("x"), "text": from_record("x"), field: "jane@example.com"}
    with pytest.raises(TypeError, match=f"a document's {field} is str, not Redacted"):
        StoredSection(page=None, **texts)  # type: ignore[arg-type]


def test_a_plain_path_is_refused_and_so_is_text_that_went_through_pickle() -> None:
    with pytest.raises(TypeError, match="a document's path is str"):
        StoredDocument("jane.md", "text/plain", "0", ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a document's path is str"):
        StoredDocument(pickle.loads(pickle.dumps(from_record("a.md"))), "text/plain", "0", ())
    assert isinstance(from_record("a.md"), Redacted)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_postgres_cannot_hold_is_refused_at_the_door(text: str) -> None:
    with pytest.raises(ValueError, match="a NUL or a lone surrogate"):
        StoredSection(from_record(""), None, from_record(text))


def test_reading_a_folder_imports_nothing_heavy() -> None:
    heavy = ("pypdf", "bs4", "duckdb", "numpy", "psycopg", "httpx", "pydantic", "litellm", "langgraph")
    code = f"import sys, serving.documents.parse; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
