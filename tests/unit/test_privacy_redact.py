"""Redacting and restoring: nothing personal goes out, everything comes back."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.client import PrivateSession
from privacy.detect import Detector
from privacy.errors import DetectionFailed, ValueRefused
from privacy.redact import Redacted, Redactor, from_record
from privacy.spans import Span
from privacy.vault import MemoryVault

NAMES = ("Jane Roe", "Acme GmbH", "C-1042")
DETECTOR = Detector(known=NAMES)
PERSONAL = ("jane@example.com", "+49 30 1234567", "DE89370400440532013000", "123-45-6789", *NAMES)
PIECES = st.one_of(
    st.sampled_from(
        (
            *PERSONAL,
            *("[EMAIL_1]", "[EMAIL_2]", "[NAME_1]", "[PHONE_S1]", "[LITERAL_1]", "[EMAIL_01]", "[", "]", "[EMAIL_"),
            *(" ", "\n", ", ", ": ", "_", "phone", "password: abc123xyz", "4155552671", "\ufffc", "\ud800", "\0"),
        )
    ),
    st.text(max_size=8),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def redactor(realm: str = "") -> Redactor:
    return Redactor(DETECTOR, MemoryVault(realm))


def storable(text: str) -> str:
    return "".join("\ufffd" if one == "\0" or "\ud800" <= one <= "\udfff" else one for one in text)


@settings(max_examples=150)
@given(TEXTS)
def test_what_is_redacted_comes_back_as_it_was(text: str) -> None:
    one = redactor()
    assert one.restore(one.redact(text)) == storable(text)


@settings(max_examples=100)
@given(TEXTS)
def test_redacting_twice_changes_nothing(text: str) -> None:
    one = redactor()
    redacted = one.redact(text)
    assert one.redact(redacted) == redacted


@settings(max_examples=100)
@given(st.lists(st.sampled_from(PERSONAL), min_size=1, max_size=6), st.sampled_from((" ", ", ", "\n", " and ")))
def test_no_personal_value_is_left_in_what_goes_out(values: list[str], between: str) -> None:
    redacted = redactor().redact(between.join(values))
    assert not any(value in redacted for value in values)


def test_redacted_text_is_made_by_this_module_alone() -> None:
    with pytest.raises(TypeError, match=r"made by privacy\.redact alone"):
        Redacted("jane@example.com")
    with pytest.raises(TypeError):
        Redacted("x", object())
    assert isinstance(redactor().redact("x"), Redacted)
    assert isinstance(from_record("x"), Redacted)
    assert type(pickle.loads(pickle.dumps(from_record("x")))) is str


def length(text: Redacted) -> int:
    return len(text)


def test_the_type_checker_refuses_plain_text_where_redacted_text_belongs() -> None:
    # `mypy --strict` reports an ignore that is not needed: these lines fail the lint when the seal is lost.
    assert length("plain") == 5  # type: ignore[arg-type]
    assert length(redactor().redact("plain").upper()) == 5  # type: ignore[arg-type]
    assert length(redactor().redact("plain")) == 5


def test_a_lookalike_beside_the_real_thing_in_one_request_stays_what_it_was() -> None:
    one = redactor()
    value = {"Jane Roe": "[NAME_1] and [NAME_2]", "x": ["[LITERAL_1]", "[LITERAL_2] [NAME_1]"]}
    assert one.restore_json(one.redact_json(value)) == value


def test_the_same_value_gets_the_same_placeholder_and_others_get_others() -> None:
    text = "jane@example.com wrote to Joe@example.com, JANE@EXAMPLE.COM in copy"
    assert redactor().redact(text) == "[EMAIL_1] wrote to [EMAIL_2], [EMAIL_1] in copy"


def test_a_users_text_that_looks_like_a_placeholder_never_becomes_somebodys_value() -> None:
    one = redactor()
    redacted = one.redact("literally [EMAIL_1], then jane@example.com, then [EMAIL_2]")
    assert redacted == "literally [LITERAL_1], then [EMAIL_2], then [LITERAL_3]"
    assert one.restore(redacted) == "literally [EMAIL_1], then jane@example.com, then [EMAIL_2]"


def test_a_placeholder_of_the_other_realm_passes_through_both_ways() -> None:
    one = redactor()
    one.redact("jane@example.com")
    assert one.redact("see [EMAIL_S1]") == "see [EMAIL_S1]"
    assert one.restore("see [EMAIL_S1]") == "see [EMAIL_S1]"


def test_a_placeholder_that_the_vault_does_not_know_stays_when_restoring() -> None:
    assert redactor().restore("[EMAIL_7] and [PHONE_1]") == "[EMAIL_7] and [PHONE_1]"


def test_a_placeholders_kind_is_no_label_for_the_number_beside_it() -> None:
    one = redactor()
    first = one.redact("+49 30 1234567 4155552671")
    assert one.redact(first) == first


def test_nul_and_lone_surrogates_become_replacement_characters() -> None:
    assert redactor().redact("a\0b\ud800c") == "a\ufffdb\ufffdc"
    assert redactor().redact_json({"k\0": ["\udfff"]}) == {"k\ufffd": ["\ufffd"]}


class Failing(Detector):
    def detect(self, text: str) -> tuple[Span, ...]:
        raise DetectionFailed("personal data could not be looked for, so nothing was sent")


def test_nothing_comes_out_when_detection_fails() -> None:
    one = Redactor(Failing(), MemoryVault())
    with pytest.raises(DetectionFailed):
        one.redact("hello")
    with pytest.raises(DetectionFailed):
        one.redact_json({"goal": "hello"})


class Counting(Detector):
    calls = 0

    def detect(self, text: str) -> tuple[Span, ...]:
        self.calls += 1
        return super().detect(text)


def test_a_text_that_was_seen_is_not_scanned_again_and_memory_is_bounded() -> None:
    detector = Counting()
    one = Redactor(detector, MemoryVault(), remembered=2)
    for text in ("a", "b", "a", "b", "a"):
        one.redact(text)
    assert detector.calls == 2
    for text in ("c", "a", "b"):
        one.redact(text)
    assert detector.calls > 3


def test_json_is_walked_through_keys_lists_and_strings() -> None:
    one = redactor()
    value = {"to": ["jane@example.com", {"Jane Roe": "C-1042"}], "n": 3, "ok": True, "none": None, "x": 1.5}
    redacted = one.redact_json(value)
    assert redacted == {"to": ["[EMAIL_1]", {"[NAME_2]": "[NAME_3]"}], "n": 3, "ok": True, "none": None, "x": 1.5}
    assert one.restore_json(redacted) == value


def test_a_json_key_is_the_label_of_its_value() -> None:
    value = {"phone": "4155552671", "orderNumber": "4155552671", "passport_no": ["C01X00T47"], "password": "abc123"}
    assert redactor().redact_json(value) == {
        "phone": "[PHONE_1]",
        "orderNumber": "4155552671",
        "passport_no": ["[PASSPORT_2]"],
        "password": "[SECRET_3]",
    }


def test_a_whole_number_that_is_personal_becomes_a_placeholder() -> None:
    value = {"card": 4111111111111111, "phone": 4155552671, "count": 4155552671}
    assert redactor().redact_json(value) == {"card": "[CREDIT_CARD_1]", "phone": "[PHONE_2]", "count": 4155552671}


@pytest.mark.parametrize("value", [{"a": {1: "x"}}, [object()], {"when": b"x"}])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueRefused, match="is not JSON"):
        redactor().redact_json(value)


def test_two_keys_that_would_become_one_are_refused() -> None:
    with pytest.raises(ValueRefused, match="two keys"):
        redactor().redact_json({"jane@example.com": 1, "JANE@example.com": 2})


@settings(max_examples=40)
@given(st.recursive(TEXTS | st.integers(-99, 99), lambda one: st.lists(one) | st.dictionaries(TEXTS, one)))
def test_json_comes_back_as_it_was(value: Any) -> None:
    one = redactor()
    expected = json.loads(json.dumps(value))
    try:
        assert one.restore_json(one.redact_json(value)) == _storable_json(expected)
    except ValueRefused:
        assert isinstance(value, dict | list)


def _storable_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable(key): _storable_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_storable_json(one) for one in value]
    return storable(value) if isinstance(value, str) else value


def test_a_session_redacts_restores_and_counts_by_kind() -> None:
    session = PrivateSession(redactor())
    sent = session.outgoing({"goal": "Write jane@example.com and joe@example.com, [EMAIL_9], phone +49 30 1234567"})
    session.outgoing("jane@example.com again")
    assert sent == {"goal": "Write [EMAIL_1] and [EMAIL_2], [LITERAL_3], phone [PHONE_4]"}
    assert session.counts == {"EMAIL": 2, "PHONE": 1}
    assert session.incoming({"answer": sent["goal"]})["answer"].startswith("Write jane@example.com and joe@example.com")
    stream = session.restorer()
    assert "".join(map(stream.feed, sent["goal"])) + stream.flush() == session.incoming(sent["goal"])


def test_a_piece_of_json_stays_json_whatever_is_put_back_into_it() -> None:
    vault = MemoryVault()
    place = vault.placeholder_for("NAME", name := 'Jane "J\\R" Roe\nÄ')
    line = {"kind": "tool_call_delta", "call_id": "c", "text": f'{{"to": "{place}, [NAME_99]', "closes": '"}'}
    read = PrivateSession(Redactor(DETECTOR, vault)).incoming(line)
    assert json.loads(read["text"] + read["closes"]) == {"to": f"{name}, [NAME_99]"}
    assert {**read, "text": line["text"]} == line


def test_any_other_line_is_restored_as_it_is() -> None:
    vault = MemoryVault()
    place = vault.placeholder_for("NAME", name := 'Jane "J\\R" Roe')
    line = {"kind": "answer_delta", "text": f"for {place}"}
    assert PrivateSession(Redactor(DETECTOR, vault)).incoming(line) == {"kind": "answer_delta", "text": f"for {name}"}


def test_an_answer_that_is_json_stays_json_and_one_that_is_none_gets_the_value_as_it_is() -> None:
    name = 'Bo "Twig" Rootley'
    mine = Redactor(Detector(known=[name]), MemoryVault())
    place = str(mine.redact(name))
    written = {"kind": "answer_written", "answer": {"text": json.dumps({"who": place, place: 3}), "sources": [place]}}
    restored = mine.restore_line(written)["answer"]
    assert json.loads(restored["text"]) == {"who": name, name: 3}
    assert restored["sources"] == [name]
    values = {"messages": [{"type": "human", "content": place}, {"type": "ai", "content": json.dumps({"who": place})}]}
    human, ai = mine.restore_json([{"values": {**values, "answer": written["answer"]}}])[0]["values"]["messages"]
    assert (human["content"], json.loads(ai["content"])) == (name, {"who": name})
    assert mine.restore_json({"answer": written["answer"]})["answer"] == restored
    assert mine.restore_answer(f"{{{place}}}") == f"{{{name}}}"
