"""What a run left, kept for the message to its webhook: it goes when the run does."""

import psycopg
import pytest

from tests.integration.ledger_rows import make_run


@pytest.mark.parametrize("forget", ["delete from runs", "select count(*) from delete_threads('default', %s)"])
def test_what_a_message_was_to_hold_goes_with_its_run(database: str, forget: str) -> None:
    run_id = make_run(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update runs set webhook = 'http://harbour.example'")
        connection.execute('update threads set values = \'{"said": "in clear"}\'')
        connection.execute("update runs set finished_at = now(), status = 'success'")
        told = "select run_id::text, status, left_values from webhook_deliveries"
        assert connection.execute(told).fetchall() == [(run_id, "pending", {"said": "in clear"})]
        threads = [row[0] for row in connection.execute("select thread_id from threads").fetchall()]
        connection.execute(forget, (threads,) if "%s" in forget else ())
        assert connection.execute(told).fetchall() == [(run_id, "pending", None)]
