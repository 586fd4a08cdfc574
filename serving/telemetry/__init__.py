"""What operators see: traces exported from the run log, metrics read from Postgres."""
