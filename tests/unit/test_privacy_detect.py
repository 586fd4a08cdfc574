"""What is found, what is left alone, and what happens when detection can't run."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import process_time

import pytest

import privacy.credentials
import privacy.detect
from privacy.detect import Detector, Recogniser
from privacy.errors import DetectionFailed, RecogniserMissing
from privacy.ner import spacy_recogniser
from privacy.spans import Span

DETECTOR = Detector()


def found(text: str, detector: Detector = DETECTOR) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in detector.detect(text)]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("ann@example.com-bob@example.org", ["ann@example.com", "bob@example.org"]),
        ("ann@example.com_bob@example.org.csv", ["ann@example.com", "_bob@example.org"]),
        ("ann@example.com.Bob@example.org", ["ann@example.com", "Bob@example.org"]),
        ("see a@b.c_ann@example.com", ["b.c_ann@example.com"]),
    ],
)
def test_addresses_without_a_space_between_them_are_all_found(text: str, addresses: list[str]) -> None:
    assert [value for kind, value in found(text) if kind == "EMAIL"] == addresses


POSITIVES = [
    ("EMAIL", "mail <{}>.", "jane.roe@example.com"),
    ("EMAIL", "{}", "o'neil+lists@mail.corp.local"),
    ("EMAIL", "email={},x", "a_b@sub.shop.example"),
    ("EMAIL", "an {} an", "jürgen@bücher.example"),
    ("EMAIL", "see {}.csv", "jane.roe@example.com"),
    ("EMAIL", "Write to {}.Then sum it up", "jane.roe@example.co.uk"),
    ("EMAIL", "by *{}__ alone", "jane@example.com"),
    ("EMAIL", "https://example.com/reset?mail={}&to=-@-.-.--", "jane%40example.com"),
    ("PHONE", "{}", "+49 30 1234567"),
    ("PHONE", "at {}, 12 items", "+1 (555) 010-0199"),
    ("PHONE", "at {} today", "+44 7700 900123"),
    ("PHONE", "{}", "0049 30 1234567"),
    ("PHONE", "call {} now", "(212) 555-0123"),
    ("PHONE", "x,{},9.90", "212-555-0123"),
    ("PHONE", "Tel. {}", "030 1234567"),
    ("PHONE", "Büro {}", "0151/23456789"),
    ("PHONE", "Büro {}", "030 / 123 45 67"),
    ("PHONE", "Büro {}", "+49 (0)30 / 123 45 67"),
    ("PHONE", "{}", "01 23 45 67 89"),
    ("PHONE", "her phone number is {}", "4155552671"),
    ("PHONE", "call {}", "555-0123"),
    ("PHONE", "name,phone\nAnna,{}", "4155552671"),
    ("PHONE", "| order | mobile_number |\n|---|---|\n| ORD-1 | {} |", "4155552671"),
    ("CREDIT_CARD", "card {}", "4111 1111 1111 1111"),
    ("CREDIT_CARD", "{}", "5555-5555-5555-4444"),
    ("CREDIT_CARD", "{}", "378282246310005"),
    ("CREDIT_CARD", "{}", "2223003122003222"),
    ("IBAN", "pay to {}", "DE89 3704 0044 0532 0130 00"),
    ("IBAN", "{} from my bank", "de89370400440532013000"),
    ("IBAN", "{} PAID NOW", "BE68 5390 0754 7034"),
    ("IBAN", "AB12 {}", "GB82 WEST 1234 5698 7654 32"),
    ("SSN", "{}", "123-45-6789"),
    ("SSN", "social security number {}", "123456788"),
    ("PASSPORT", "passport no. {}", "C01X00T47"),
    ("PASSPORT", "Passport number: {}", "123456789"),
    ("IP", "from {}:443", "192.168.10.24"),
    ("IP", "from {} today", "2001:db8:85a3::8a2e:370:7334"),
    ("CRYPTO", "{}", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("CRYPTO", "{}", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ("CRYPTO", "{}", "0x52908400098527886E0F7030069857D2E4169EE7"),
    ("NHS", "NHS number {}", "943 476 5919"),
    ("MEDICAL_LICENSE", "DEA {}", "AB1234563"),
    ("BANK_ACCOUNT", "account number {}", "12345678"),
    ("BANK_ACCOUNT", "Kontonummer: {}", "0532013000"),
    ("SECRET", "key {}", "sk-ant-api03-" + "aB3_-" * 8),
    ("SECRET", "{}", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("SECRET", "{}.", "ghp_" + "a1B2" * 9),
    ("SECRET", "{}", "xoxb-" + "123456789012-abcdef"),
    ("SECRET", "jwt {}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_123"),
    ("SECRET", "password = {}", "hunter22"),
    ("SECRET", '"api_key": "{}"', "abc123def456"),
    ("SECRET", "Authorization: Bearer {}", "abcdefghijklmnop"),
    ("SECRET", "postgres://{}:5432/x", "app:s3cret@db.internal"),
    ("SECRET", "x\n{}\ny", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----"),
    ("SECRET", "x\n{}", "-----BEGIN PRIVATE KEY-----\nMIIEow== cut off"),
]

HARMLESS = [
    "Invoice INV-2024-0012 of 2024-11-05, order ORD-10442, 3 pages",
    "Total 1.234.567,89 EUR, net 1 234 567,00 EUR, gross $12,345,678.90, +1 250 000 000 EUR, -12.5 %",
    "15.01.2024 12:30, 01.02.2024 10:00, 01.02.24 1030, 2024-11-05T14:30:00Z, 05/11/2024, Call on 2024-11-05",
    "01 / 02 / 03 / 2024, 030 / 2024 / 11, 5 / 10 / 2024, page 010 / 120",
    "ISBN 978-3-16-148410-0, ISBN 9783161484100, EAN 4006381333931, GTIN 00012345600012",
    "order_no,amount,date\n4155552671,99.00,2024-11-05\n2125550123,12.00,2024-11-06\n0301234567,1.50,2024-11-07",
    "phone,order_no\n,4155552671\n",
    "order number 4155552671 and invoice no. 212-555-0123",
    "550e8400-e29b-41d4-a716-446655440000 and 41234567-8901-4345-8789-412345678901",
    "run 0199f3a2-7c1e-7b3a-9c55-0a1b2c3d4e5f, run 01987654-1234-7123-8123-123456789012",
    "version 1.2.3.4, v10.0.19045.3570, Section 4.3.2.1, 1.2.3.4.5, python 3.11.7",
    "https://example.com/orders/1234567?page=2 and www.example.org/a_b",
    "PN 40-2211-0098, SKU 4711-0815-22, A-100-2000, part no 212-555-0123, serial C01X00T47",
    "std::vector<int>, a::b, dead::beef, 12:34:56, ::1, 127.0.0.1",
    "logo@2x.png, 3 items @2.50, meet @noon, user@localmachine",
    "10442001, 1700000000000, 20241105143000, 3.1415926535, 12 345 678 units, 1234567890123456",
    "Password: required. API key: rotating quarterly. The token is kept secret.",
    "sha256 3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b",
    "Bank transfer of 1000000 EUR, bank fee EUR 2500000, bank: €12345678",
    "order number 4539578763621486 and order_id: 4111111111111111",
    "account balance 12345678, account id 12345678, VAT DE123456789",
    "Customer 4711 ordered 12 x A-100-2000 on 05.11.2024 for 1 234,50 EUR (net), see clause 12.3.4.",
]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("+49 30 1234567 / 030 7654321", ["+49 30 1234567", "030 7654321"]),
        ("0171 5550123 / 0172 5550124", ["0171 5550123", "0172 5550124"]),
        ("030 1234567 / 40 pieces", ["030 1234567"]),
    ],
)
def test_a_number_ends_before_the_slash_to_what_is_another(text: str, numbers: list[str]) -> None:
    assert found(text) == [("PHONE", number) for number in numbers]


@pytest.mark.parametrize(("kind", "around", "value"), POSITIVES)
def test_a_personal_value_is_found_whole_and_alone(kind: str, around: str, value: str) -> None:
    assert found(around.replace("{}", value)) == [(kind, value)]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_business_documents_are_full_of_is_left_alone(text: str) -> None:
    assert found(text) == []


TYPESET = [
    ("PHONE", "+49 171 5550123"),
    ("CREDIT_CARD", "4111 1111 1111 1111"),
    ("IBAN", "DE89 3704 0044 0532 0130 00"),
    ("EMAIL", "jane.roe@example.com"),
]


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u202f", "\u3000"])
@pytest.mark.parametrize(("kind", "value"), TYPESET)
def test_a_value_is_found_with_the_spaces_that_web_pages_and_typesetters_set(kind: str, value: str, space: str) -> None:
    typeset = value.replace(" ", space)
    assert found(f"Write to {typeset} today") == [(kind, typeset)]


@pytest.mark.parametrize(("kind", "value"), TYPESET)
def test_a_value_in_full_width_characters_is_found(kind: str, value: str) -> None:
    wide = "".join("\u3000" if each == " " else chr(ord(each) + 0xFEE0) for each in value)
    assert found(f"連絡先 {wide} まで") == [(kind, wide)]


@pytest.mark.parametrize("hyphen", ["\u2010", "\u2011", "\u2012", "\u2013", "\u2212"])
@pytest.mark.parametrize(("kind", "value"), [("CREDIT_CARD", "4111-1111-1111-1111"), ("SSN", "123-45-6789")])
def test_a_value_is_found_with_the_hyphens_that_typesetters_set(kind: str, value: str, hyphen: str) -> None:
    typeset = value.replace("-", hyphen)
    assert found(f"see {typeset} today") == [(kind, typeset)]


@pytest.mark.parametrize("unseen", ["\u00ad", "\u200b", "\u2060", "\ufeff", "\u200e", "\u061c"])
@pytest.mark.parametrize(("kind", "value"), [*TYPESET, ("NAME", "Jane Roe"), ("SECRET", "ghp_" + "a1B2" * 9)])
def test_a_value_is_found_with_characters_in_it_that_nobody_sees(kind: str, value: str, unseen: str) -> None:
    broken = f"{value[:3]}{unseen}{value[3:6]}{unseen}{value[6:]}"
    detector = Detector(known=["Jane Roe"])
    assert found(f"Write to {broken} today", detector) == [(kind, broken)]
    assert found(f"Write to {value}{unseen}7 today", detector)[0][1].startswith(value)


def test_a_label_counts_only_in_its_own_line_and_column() -> None:
    assert found("Who takes the phone\n4155552671 pieces") == []
    assert found("phone,units\n,4155552671") == []


def test_known_names_are_found_in_any_case_over_line_ends_and_in_file_names() -> None:
    detector = Detector(known=["Jane Roe", "Jane", "C-1042", "Zoë", "", "  "])
    text = "JANE\nROE, jane's jane_roe.pdf; C-1042 not C-10421, Janet or Zoe\u0308 and Zoë"
    assert [value for _, value in found(text, detector)] == [
        *("JANE\nROE", "jane", "jane_roe", "C-1042", "Zoe\u0308", "Zoë"),
    ]


def test_the_longest_known_name_wins_whatever_its_case() -> None:
    assert found("anna lee wrote", Detector(known=["Anna", "anna lee", "LEE"])) == [("NAME", "anna lee")]


def test_names_of_ten_thousand_customers_cost_little() -> None:
    detector = Detector(known=[f"First{number} Last{number}" for number in range(10_000)])
    text = "a word and First77 Last77 " * 150
    began = process_time()
    assert len(detector.detect(text)) == 150
    assert process_time() - began < 0.5


def test_a_value_is_found_wherever_windows_of_a_long_text_are_cut() -> None:
    for around in ("{} ", "{}\n"):
        text = "".join(around.format(f"a{number}@example.com") for number in range(2_000))
        assert len(DETECTOR.detect(text)) == 2_000


@pytest.mark.parametrize("stride", [1, 10, 33])
def test_a_secret_is_found_wherever_the_strides_over_a_long_text_begin(
    stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x7" * 900
    texts = [around.format(value) for kind, around, value in POSITIVES if kind == "SECRET" and "KEY" not in value]
    text = "\n".join([*texts, f"password: {long}", f"api_key={long}, token", *texts, "secret_key:"])
    at_once = found(text)
    monkeypatch.setattr(privacy.credentials, "_STRIDE", stride)
    assert found(text) == at_once
    assert [value for _, value in at_once].count(long) == 2


def test_a_long_table_keeps_its_header_in_every_window() -> None:
    rows = [f"{number},4155552{number % 1000:03},x" for number in range(1_500)]
    assert len(DETECTOR.detect("\n".join(["id,phone,note", *rows]))) == 1_500
    assert len(DETECTOR.detect("\n".join(["id,order_no,note", *rows]))) == 0


@pytest.mark.parametrize("text", ["password=" * 9_000, "a://" * 20_000, "-eyJeyJeyJ" * 9_000, "a.a" * 30_000 + "@"])
def test_a_hostile_text_costs_time_in_proportion(text: str) -> None:
    began = process_time()
    DETECTOR.detect(text)
    assert process_time() - began < 2


def test_several_threads_find_the_same() -> None:
    texts = [f"a{number}@example.com and +49 30 12345{number:02}" for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(DETECTOR.detect, texts)) == [DETECTOR.detect(text) for text in texts]


class Broken:
    def recognise(self, text: str) -> Iterable[Span]:
        raise RuntimeError(f"cannot read {text}")


class Astray:
    def recognise(self, text: str) -> Iterable[Span]:
        return [Span(0, len(text) + 1, "PERSON")]


@pytest.mark.parametrize("recogniser", [Broken(), Astray()])
def test_a_recogniser_that_fails_stops_the_text_without_quoting_it(recogniser: Recogniser) -> None:
    with pytest.raises(DetectionFailed, match="nothing was sent") as caught:
        Detector(recognisers=[recogniser]).detect("jane@example.com")
    assert "jane" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_detector_whose_engine_cannot_load_lets_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no presidio")

    monkeypatch.setattr(privacy.detect, "_build_analyser", missing)
    with pytest.raises(DetectionFailed, match="ImportError"):
        DETECTOR.detect("jane@example.com")


def test_a_pattern_that_may_have_run_out_of_time_stops_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    import privacy.analysis

    monkeypatch.setattr(privacy.analysis, "REGEX_TIMEOUT_SECONDS", 0)
    with pytest.raises(DetectionFailed, match="TimeoutError"):
        DETECTOR.detect("jane@example.com")


def test_a_spacy_model_of_the_caller_adds_people_and_places(tmp_path: Path) -> None:
    import spacy

    pipeline = spacy.blank("en")
    rules = pipeline.add_pipe("entity_ruler")
    patterns = [("PERSON", "Jane Roe"), ("GPE", "Lisbon"), ("ORG", "Acme")]
    rules.add_patterns([{"label": label, "pattern": text} for label, text in patterns])  # type: ignore[attr-defined]
    pipeline.to_disk(tmp_path / "model")
    detector = Detector(recognisers=[spacy_recogniser(str(tmp_path / "model"))])
    expected = [("PERSON", "Jane Roe"), ("LOCATION", "Lisbon"), ("EMAIL", "a@example.com")]
    assert found("Jane Roe of Acme in Lisbon: a@example.com", detector) == expected


def test_a_spacy_model_that_is_not_installed_is_named_with_the_mend() -> None:
    with pytest.raises(RecogniserMissing, match="'en_no_such_model' here: install its package"):
        spacy_recogniser("en_no_such_model")
