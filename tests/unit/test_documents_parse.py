"""Reading a folder: what is read, what is skipped and named, and what stops it."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfWriter

from serving.documents.document import ParsedDocument, Skipped
from serving.documents.parse import FolderError, read_folder

_DEPTH = 1_200


def pdf(*pages: str) -> bytes:
    """A small valid PDF, written by hand: one text line a page."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * at} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def read(root: Path) -> dict[str, ParsedDocument | Skipped]:
    (root / "always.md").write_text("# Always\n\nSomething to read.\n")
    return {entry.path: entry for entry in read_folder(root)}


def reason(entries: dict[str, ParsedDocument | Skipped], path: str) -> str:
    entry = entries[path]
    assert isinstance(entry, Skipped), f"{path} was read"
    return entry.reason


def text(entries: dict[str, ParsedDocument | Skipped], path: str) -> str:
    entry = entries[path]
    assert isinstance(entry, ParsedDocument), f"{path} was skipped: {entry}"
    return "\n".join(section.text for section in entry.sections)


def test_a_nested_folder_is_read_in_path_order_with_digests_of_the_raw_bytes(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d" / "e" / "f"
    deep.mkdir(parents=True)
    (deep / "deep.txt").write_bytes(b"Six levels down.\r\n")
    (tmp_path / "z.md").write_text("# Z\n\nLast.")
    (tmp_path / "data.csv").write_text("a;b\n1;2\n")
    first, second = list(read_folder(tmp_path)), list(read_folder(tmp_path))
    assert first == second
    assert [entry.path for entry in first] == ["a/b/c/d/e/f/deep.txt", "data.csv", "z.md"]
    assert isinstance(first[0], ParsedDocument)
    assert first[0].digest == hashlib.sha256(b"Six levels down.\r\n").hexdigest()
    assert isinstance(first[1], ParsedDocument)
    assert first[1].table
    assert first[1].sections[0].text == "a;b\n1;2"


def test_a_50_mb_file_is_skipped_and_named_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as huge:
        huge.truncate(50_000_000)
    assert reason(read(tmp_path), "huge.txt") == "50.0 MB, over the limit of 20 MB"


def test_a_zero_byte_file_and_one_of_blanks_are_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "zero.md").touch()
    (tmp_path / "blank.txt").write_text(" \n\n\t\n")
    entries = read(tmp_path)
    assert reason(entries, "zero.md") == "empty file"
    assert reason(entries, "blank.txt") == "no text in it"


def test_binary_and_unknown_files_are_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "nul.txt").write_bytes(b"before\0after")
    (tmp_path / "noise.md").write_bytes(bytes(range(1, 256)) * 8)
    (tmp_path / "README").write_text("Text without an ending is text.")
    (tmp_path / "letter.docx").write_bytes(b"PK\x03\x04")
    entries = read(tmp_path)
    assert reason(entries, "nul.txt") == "binary, not text"
    assert "neither UTF-8" in reason(entries, "noise.md")
    assert reason(entries, "letter.docx") == "unsupported type .docx"
    assert text(entries, "README") == "Text without an ending is text."


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("cp1252", "Café prices rose by 3 € in Zürich.".encode("cp1252")),
        ("utf-8 with a mark", b"\xef\xbb\xbf" + "Café prices rose by 3 € in Zürich.".encode()),
        ("utf-16", "Café prices rose by 3 € in Zürich.".encode("utf-16")),
    ],
)
def test_text_in_other_encodings_is_read(tmp_path: Path, encoding: str, raw: bytes) -> None:
    (tmp_path / "note.txt").write_bytes(raw)
    assert text(read(tmp_path), "note.txt") == "Café prices rose by 3 € in Zürich."


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(pdf("Revenue was 4200 EUR.", "", "Costs were 1300 EUR."))
    entry = read(tmp_path)["report.pdf"]
    assert isinstance(entry, ParsedDocument)
    assert [(section.page, section.text) for section in entry.sections] == [
        (1, "Revenue was 4200 EUR."),
        (3, "Costs were 1300 EUR."),
    ]


def test_broken_encrypted_and_textless_pdfs_are_skipped_and_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.pdf").write_bytes(pdf("Cut in the middle.")[:200])
    (tmp_path / "garbage.pdf").write_bytes(b"%PDF-1.7\n" + os.urandom(2_000))
    (tmp_path / "scan.pdf").write_bytes(pdf(""))
    (tmp_path / "open.pdf").write_bytes(pdf("Hello."))
    locked = PdfWriter(clone_from=str(tmp_path / "open.pdf"))
    locked.encrypt("secret", algorithm="AES-256")
    locked.write(str(tmp_path / "locked.pdf"))
    entries = read(tmp_path)
    assert reason(entries, "broken.pdf").startswith(("broken PDF", "PDF without text"))
    assert reason(entries, "garbage.pdf").startswith("broken PDF")
    assert reason(entries, "scan.pdf").startswith("PDF without text")
    assert reason(entries, "locked.pdf").startswith("encrypted PDF")
    assert capfd.readouterr() == ("", "")


def test_hidden_files_and_folders_are_ignored_in_silence(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config.md").write_text("# secret")
    (tmp_path / ".env").write_text("KEY=1")
    assert list(read(tmp_path)) == ["always.md"]


def test_links_never_lead_out_or_round_in_circles(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    (tmp_path / "outside.md").write_text("# Outside")
    (root / "out.md").symlink_to(tmp_path / "outside.md")
    (root / "up").symlink_to(root)
    (root / "self.md").symlink_to(root / "self.md")
    (root / "gone.md").symlink_to(root / "nothing.md")
    (root / "inside.md").symlink_to(root / "always.md")
    entries = read(root)
    assert reason(entries, "out.md") == "a link that leads out of the folder"
    assert reason(entries, "up") == "a link to a folder"
    assert reason(entries, "self.md") == "a link that leads nowhere"
    assert reason(entries, "gone.md") == "a link that leads nowhere"
    assert text(entries, "inside.md") == "Something to read."


def test_a_pipe_is_skipped_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert reason(read(tmp_path), "pipe.txt") == "not a regular file"


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder whose deepest file has a path that no system call takes; nor would pytest's own clean-up get there."""
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        for _ in range(_DEPTH):
            os.mkdir("d")
            os.chdir("d")
        Path("deep.md").write_text("# Deep\n\nDown here.")
        os.chdir(here)
        yield tmp_path
        _clear_deep(tmp_path)
    finally:
        os.chdir(here)


def _clear_deep(folder: Path) -> None:
    os.chdir(folder)
    for _ in range(_DEPTH):
        os.chdir("d")
    os.unlink("deep.md")
    for _ in range(_DEPTH):
        os.chdir("..")
        os.rmdir("d")


def test_very_deep_folders_do_not_break_the_walk(deep: Path) -> None:
    (deep / "top.md").write_text("# Top\n\nUp here.")
    assert [entry.path.rsplit("/", 1)[-1] for entry in read_folder(deep)] == ["deep.md", "top.md"]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of another user's; root tests as that user, since root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.chmod(root, 0o755)
        (root / "open.md").write_text("# Open")
        (root / "shut.md").write_text("# Shut")
        os.chmod(root / "shut.md", 0)
        (root / "vault").mkdir(mode=0o700)
        os.chmod(root / "vault", 0)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield root
        finally:
            os.seteuid(before)
            os.chmod(root / "vault", 0o700)


def test_unreadable_files_and_folders_are_skipped_and_named(unprivileged: Path) -> None:
    entries = {entry.path: entry for entry in read_folder(unprivileged)}
    assert reason(entries, "shut.md") == "can't be read: permission denied"
    assert reason(entries, "vault") == "can't be read: permission denied"
    assert text(entries, "open.md") == "Open"


def test_an_unreadable_root_is_an_error_with_its_mend(unprivileged: Path) -> None:
    with pytest.raises(FolderError, match=r"vault can't be read: permission denied \(check its permissions\)"):
        read_folder(unprivileged / "vault")


def test_a_missing_folder_a_file_and_an_empty_folder_are_errors_at_once(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="nothing doesn't exist"):
        read_folder(tmp_path / "nothing")
    (tmp_path / "file.md").write_text("# File")
    with pytest.raises(FolderError, match="is a file, not a folder"):
        read_folder(tmp_path / "file.md")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match="is empty") as caught:
        read_folder(tmp_path / "empty")
    assert (caught.value.code, caught.value.status, caught.value.exit_code) == ("bad_folder", 400, 2)


def test_a_folder_without_one_usable_file_names_them_and_then_fails(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    entries = read_folder(tmp_path)
    assert next(entries) == Skipped("picture.png", "unsupported type .png")
    with pytest.raises(FolderError, match="holds no file that can be read"):
        next(entries)


def test_names_that_are_no_utf8_or_no_line_are_spelt_out_and_stay_two(tmp_path: Path) -> None:
    for name in (b"a\xfe.txt", b"a\xff.txt", b"a\nb.txt"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text(repr(name))
    entries = read(tmp_path)
    assert text(entries, r"a\xfe.txt") == r"b'a\xfe.txt'"
    assert text(entries, r"a\xff.txt") == r"b'a\xff.txt'"
    assert text(entries, r"a\nb.txt") == r"b'a\nb.txt'"


def test_utf16_that_holds_a_nul_is_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\0two " * 100, "utf-16")
    assert reason(read(tmp_path), "a.txt") == "binary, not text"


def test_what_no_request_can_hold_is_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "headings.md").write_text("# h\n\nt\n\n" * 20_001)
    (tmp_path / "quotes.txt").write_text('"\n' * 6_500_000)
    entries = read(tmp_path)
    assert reason(entries, "headings.md") == "20,001 headings or pages, over the limit of 20,000"
    assert reason(entries, "quotes.txt") == "26.0 MB as JSON, over the limit of 24 MB"
