"""Sections of Markdown and HTML, and chunks of sections."""

import hashlib
import re
import time

from privacy.redact import from_record
from serving.documents.chunk import chunks, cut
from serving.documents.document import ParsedDocument, Section
from serving.documents.sections import html_sections, markdown_sections
from serving.documents.spreadsheet import read_columns
from serving.documents.words import sentences, words


def pairs(sections: tuple[Section, ...]) -> list[tuple[str, str]]:
    return [(section.heading, section.text) for section in sections]


def test_markdown_headings_become_paths() -> None:
    text = "Before.\n\n# Policy\n\n## Refunds in C# ##\n\n30 days.\n\n### Exceptions\nNone.\n\n## Shipping\n\nFree.\n"
    assert pairs(markdown_sections(text)) == [
        ("", "Before."),
        ("Policy > Refunds in C#", "30 days."),
        ("Policy > Refunds in C# > Exceptions", "None."),
        ("Policy > Shipping", "Free."),
    ]


def test_underlined_headings_count_and_hashes_in_code_do_not() -> None:
    text = "Guide\n=====\n\nSetup\n-----\n\n```\n# not a heading\n```\n| a |\n|---|\n| 1 |\n"
    assert pairs(markdown_sections(text)) == [("Guide > Setup", "```\n# not a heading\n```\n| a |\n|---|\n| 1 |")]


def test_a_heading_with_nothing_below_is_kept_as_text() -> None:
    assert pairs(markdown_sections("# Status\n## Closed on 3 May\n## Next\nMore.")) == [
        ("Status > Closed on 3 May", "Closed on 3 May"),
        ("Status > Next", "More."),
    ]


def test_html_keeps_headings_lists_and_tables_and_drops_scripts() -> None:
    html = """<html><head><style>p {color: red}</style><script>alert("x")</script></head><body>
    <h1>Price <b>list</b></h1><p>Valid from <i>May</i>&nbsp;1 &amp; on.</p>
    <ul><li>One</li><li><p>Two</p></ul>
    <table><tr><th>Item</th><th>EUR</th></tr><tr><td><p>Lamp</p></td><td></td><td>12<br>net</td></table>
    <h2>Notes</h2>line<br>break<pre>a
      b</pre><noscript>hidden</noscript></body>"""
    assert pairs(html_sections(html)) == [
        ("Price list", "Valid from May 1 & on.\n- One\nTwo\nItem | EUR\nLamp |  | 12 net"),
        ("Price list > Notes", "line\nbreak\na\nb"),
    ]


def test_broken_and_deeply_nested_html_is_read_too() -> None:
    assert pairs(html_sections("<p>one<p>two <b>three")) == [("", "one\ntwo three")]
    assert pairs(html_sections("<div>" * 50_000 + "deep")) == [("", "deep")]


def test_sentences_end_where_they_end() -> None:
    text = "Dr. Stone paid 3.50 EUR, e.g. in May. It was late! Was it?\n- item one\n- item two\n\n1. First thing. Done"
    assert [text[first:last] for first, last in sentences(text)] == [
        "Dr. Stone paid 3.50 EUR, e.g. in May.",
        "It was late!",
        "Was it?",
        "- item one",
        "- item two",
        "1. First thing.",
        "Done",
    ]


def test_a_wrapped_line_goes_on_and_a_table_row_is_one_unit() -> None:
    text = "This sentence is wrapped by its editor at a\nfixed width of columns.\n| a. b. c | d |\n| e | f |"
    assert [text[first:last] for first, last in sentences(text)] == [
        "This sentence is wrapped by its editor at a\nfixed width of columns.",
        "| a. b. c | d |",
        "| e | f |",
    ]


def test_a_sentence_wrapped_behind_a_semicolon_goes_on_in_lower_case() -> None:
    text = "Days carried over must be used by 31 March;\nafter that date they lapse."
    assert [text[first:last] for first, last in sentences(text)] == [text]
    points = "The supplier delivers within thirty days of the order;\nThe buyer pays within ten."
    assert len(list(sentences(points))) == 2


def test_chunks_are_whole_sentences_of_even_size() -> None:
    text = " ".join(f"Sentence number {at} says something of its own." for at in range(100))
    parts = list(cut(text))
    assert " ".join(parts) == text
    assert all(len(part) <= 1_200 and part.startswith("Sentence") and part.endswith(".") for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) < 150


def test_a_sentence_longer_than_a_chunk_is_split_between_words() -> None:
    text = "word " * 1_000
    parts = list(cut(text))
    assert all(len(part) <= 1_200 for part in parts)
    assert " ".join(parts).split() == text.split()
    assert "".join(cut("x" * 5_000)) == "x" * 5_000


def test_a_markdown_table_cut_in_two_repeats_its_header() -> None:
    table = "| Item | Price |\n|---|---|\n" + "\n".join(f"| Lamp {at} | {at}.00 |" for at in range(200))
    parts = list(cut(table))
    assert len(parts) > 2
    assert all(part.startswith("| Item | Price |\n|---|---|\n| Lamp") for part in parts)
    assert sorted(re.findall(r"Lamp \d+", "\n".join(parts))) == sorted(f"Lamp {at}" for at in range(200))


def test_a_tables_rows_are_chunked_with_column_names_up_to_200() -> None:
    csv = "Item;Price\n" + "\n".join(f"Lamp {at};{at},50" for at in range(500))
    parsed = ParsedDocument(
        "p.csv", "text/csv", hashlib.sha256(csv.encode()).hexdigest(), (Section("", None, csv),), True
    )
    found = chunks(parsed.redacted(from_record), read_columns(csv))
    lines = "\n".join(chunk.text for chunk in found).split("\n")
    assert lines[3] == "Item: Lamp 3; Price: 3.50"
    assert len(lines) == 200
    assert [chunk.ordinal for chunk in found] == list(range(len(found)))


def test_words_keep_ids_amounts_and_placeholders_exact_and_stem_the_rest() -> None:
    assert words("[EMAIL_1] ordered X-200 and ORD_10442 for 1,250.00 EUR on 2026-05-01") == [
        "[email_1]", "order", "x200", "and", "ord10442", "for", "1250.00", "eur", "on", "20260501",
    ]  # fmt: skip
    assert words("refunds refunded refunding policies") == [*words("refund refund refund"), *words("policy")]


def test_hostile_lines_are_read_in_no_time() -> None:
    started = time.process_time()
    markdown_sections("# " + " " * 200_000 + "x\n" + "#" * 200_000 + "\n" + "-" * 200_000)
    html_sections("<b>x</b>" * 100_000 + "<p" * 1_000)
    assert sum(1 for _ in cut("[A_" * 100_000 + "." * 100_000)) > 100
    assert time.process_time() - started < 3
