"""The server's vault: its processes and threads give one value one placeholder, and no two values the same."""

from concurrent.futures import ThreadPoolExecutor

from serving.vault import PostgresVault
from tests.integration.run_house import KEY


def test_values_that_come_at_once_each_get_a_placeholder_of_their_own(database: str) -> None:
    values = [f"{number % 100}@example.com" for number in range(400)]
    vaults = [PostgresVault(database, KEY) for _ in range(4)]

    def placeholder(number: int) -> str:
        return vaults[number % 3].placeholder_for("EMAIL_ADDRESS", values[number])

    with ThreadPoolExecutor(6) as threads:
        given = list(threads.map(placeholder, range(len(values))))
    assert len(set(given)) == len(set(values)) == len(set(zip(given, values, strict=True)))
    assert {vaults[3].value_of(each) for each in given} == set(values)
    for vault in vaults:
        vault.close()
