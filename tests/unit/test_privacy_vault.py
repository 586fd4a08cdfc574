"""Placeholders and the values they stand for, in memory; the cryptography under the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import VaultUnreadable
from privacy.sealer import Sealer, new_key
from privacy.vault import MemoryVault, normalise

KEY = new_key()


def test_a_value_keeps_its_placeholder_and_numbers_count_over_all_kinds() -> None:
    vault = MemoryVault()
    assert vault.placeholder_for("EMAIL", "jane@example.com") == "[EMAIL_1]"
    assert vault.placeholder_for("PHONE", "+49 30 1234567") == "[PHONE_2]"
    assert vault.placeholder_for("EMAIL", "jane@example.com") == "[EMAIL_1]"
    assert vault.value_of("[PHONE_2]") == "+49 30 1234567"


def test_the_servers_realm_shows_in_its_placeholders_and_does_not_answer_for_the_clients() -> None:
    vault = MemoryVault(realm="S")
    assert vault.placeholder_for("EMAIL", "jane@example.com") == "[EMAIL_S1]"
    assert vault.value_of("[EMAIL_1]") is None


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("EMAIL", "Jane@Example.com", "jane@example.COM"),
        ("NAME", "Jane Roe", "JANE\nROE"),
        ("IBAN", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("PHONE", "+49 (30) 123-4567", "+49 30 1234567"),
        ("CREDIT_CARD", "4111-1111-1111-1111", "4111 1111 1111 1111"),
        ("CREDIT_CARD", "４１１１　１１１１　１１１１　１１１１", "4111 1111 1111 1111"),
        ("PHONE", "＋４９ ３０－１２３", "+49 30 123"),
        ("EMAIL", "ｊａｎｅ＠example.com", "jane@example.com"),
        ("NAME", "Jürgen", "Ju\u0308rgen"),
    ],
)
def test_two_spellings_of_one_value_share_a_placeholder(kind: str, one: str, other: str) -> None:
    assert normalise(kind, one) == normalise(kind, other)


def test_a_secret_is_told_from_another_by_its_case() -> None:
    assert normalise("SECRET", "sk-a B") != normalise("SECRET", "sk-A B")


def test_a_wrong_kind_or_number_has_no_value() -> None:
    vault = MemoryVault()
    vault.placeholder_for("EMAIL", "jane@example.com")
    assert [vault.value_of(text) for text in ("[PHONE_1]", "[EMAIL_2]", "[EMAIL_01]", "EMAIL_1", "")] == [None] * 5


@given(st.text(st.characters(codec="utf-8")), st.binary(max_size=40))
def test_what_is_sealed_opens_again(text: str, bound_to: bytes) -> None:
    sealer = Sealer(KEY)
    assert sealer.open(sealer.seal(text, bound_to), bound_to) == text


def test_sealing_twice_never_gives_the_same_bytes_nor_shows_the_text() -> None:
    sealer = Sealer(KEY)
    one, other = sealer.seal("jane@example.com", b""), sealer.seal("jane@example.com", b"")
    assert one != other
    assert b"jane" not in one


@pytest.mark.parametrize("change", ["key", "row", "byte", "length"])
def test_a_damaged_moved_or_foreign_entry_does_not_open(change: str) -> None:
    sealed = Sealer(KEY).seal("jane@example.com", b"row 1")
    damaged = {"byte": sealed[:-1] + bytes([sealed[-1] ^ 1]), "length": sealed[:5]}.get(change, sealed)
    reader = Sealer(new_key() if change == "key" else KEY)
    with pytest.raises(VaultUnreadable, match="does not open"):
        reader.open(damaged, b"row 2" if change == "row" else b"row 1")


def test_a_fingerprint_depends_on_key_kind_and_value() -> None:
    sealer = Sealer(KEY)
    prints = {
        sealer.fingerprint("EMAIL", "a"),
        sealer.fingerprint("NAME", "a"),
        sealer.fingerprint("EMAIL", "b"),
        Sealer(new_key()).fingerprint("EMAIL", "a"),
    }
    assert len(prints) == 4
    assert sealer.fingerprint("EMAIL", "a") == Sealer(KEY).fingerprint("EMAIL", "a")


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(VaultUnreadable, match="32 bytes, not 5"):
        Sealer(b"short")
