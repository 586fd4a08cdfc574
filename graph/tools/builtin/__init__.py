"""The tools that ship with Trireme, composed from ports."""

from graph.ports import Artifacts, Documents, Mailer, Tables
from graph.tools.builtin.artifacts import write_artifact
from graph.tools.builtin.calculate import CALCULATE
from graph.tools.builtin.documents import read_document, search_documents
from graph.tools.builtin.emails import draft_email, send_email
from graph.tools.builtin.tables import query_table
from graph.tools.registry import Tool


def builtin_tools(documents: Documents, tables: Tables, artifacts: Artifacts, mailer: Mailer) -> tuple[Tool, ...]:
    return (
        search_documents(documents),
        read_document(documents),
        CALCULATE,
        query_table(tables),
        write_artifact(artifacts),
        draft_email(artifacts),
        send_email(mailer),
    )
