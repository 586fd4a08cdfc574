"""The recognisers that Presidio runs for us, each under the kind its placeholder shows. Imported on first use only.

A score under its kind's threshold (`privacy.detect.THRESHOLDS`) counts only when a label beside the value lifts it
(`privacy.analysis`); a checksum that holds gives 1, unless it is so weak that order numbers pass it by chance.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

import tldextract
from presidio_analyzer import EntityRecognizer, LocalRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    MedicalLicenseRecognizer,
    NhsRecognizer,
)
from presidio_analyzer.predefined_recognizers.generic.iban_patterns import regex_per_country

from privacy.phones import NO_MONEY, find_phones

MEDIUM: Final = 0.5
WEAK: Final = 0.2

# RFC 2606, RFC 6762 and what companies use inside: addresses there are as personal as any.
_PRIVATE_SUFFIXES: Final = ("corp", "example", "home", "internal", "invalid", "lan", "local", "localhost", "test")
_PHONE_LABELS: Final = (
    "phone", "phones", "telephone", "tel", "telefon", "mobile", "mobil", "handy", "cell", "cellphone", "call", "calls",
    "dial", "fax", "whatsapp", "sms", "hotline", "ring", "fon", "rufnummer", "telefonnummer", "mobilnummer",
)  # fmt: skip
_BANK_LABELS: Final = ("account", "acct", "bank", "konto", "kontonummer", "girokonto", "iban")
_PASSPORT_LABELS: Final = ("passport", "passports", "passeport", "reisepass", "passnummer")

_LONE: Final = r"(?<![\w-])"
_END: Final = r"(?![\w-])"
_ADDRESS: Final = r"\w[\w.+%&'~-]{0,253}(?:@|%40)((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})"
_EMAIL: Final = re.compile(rf"(?<!\w){_ADDRESS}")
_NEXT_EMAIL: Final = re.compile(_ADDRESS)
_LAST_LABEL: Final = re.compile(r"[._-]+$|[._-]*[^._-]+$")
_CARD: Final = (
    r"(?<!\w)(?<![0-9a-f]-)(?:"
    r"(?:4\d|5[0-8]|2[2-7]|35)\d{2}(?:[ -]?\d{4}){3}"
    r"|6(?:011|4[4-9]\d|[2357]\d{2})(?:[ -]?\d{4}){3}(?:[ -]?\d{3})?"
    r"|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}"
    r"|3[0689]\d{2}[ -]?\d{6}[ -]?\d{4})(?!\w)(?!-\w)"
)
_PASSPORT: Final = (
    rf"{_LONE}(?:[A-Z]{{1,2}}\d{{7,8}}|\d{{9}}|\d{{2}}[A-Z]{{2}}\d{{5}}"
    rf"|(?=[A-Z0-9]{{0,8}}\d)[CFGHJK][CFGHJKLMNPRTVWXYZ0-9]{{8}}){_END}"
)
_SSN: Final = rf"{_LONE}(?!000|666)\d{{3}}%s(?!00)\d{{2}}%s(?!0000)\d{{4}}{_END}"
_ACCOUNT: Final = rf"{_LONE}(?<!\d[.,])(?<![€$£])\d{{7,17}}{_END}(?![.,]\d){NO_MONEY}"
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}[0-9]{2}(?:[ \u00a0-]?[A-Za-z0-9]){11,30}))")


class Emails(LocalRecognizer):
    """Addresses under a suffix of tldextract's bundled list, so that nothing is ever fetched.

    What follows one without a space is no part of it: `.csv` of a file's name, the next sentence, `_` of Markdown.
    """

    def __init__(self) -> None:
        super().__init__(supported_entities=["EMAIL"])
        self._suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, extra_suffixes=_PRIVATE_SUFFIXES)

    def load(self) -> None:
        """Nothing to load: the list is tldextract's."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts) -> list[RecognizerResult]:
        found, at = [], 0
        while match := _NEXT_EMAIL.match(text, at) or _EMAIL.search(text, at):
            host = self._host(match[1])
            at = match.start(1) + len(host)
            if host:
                found.append(RecognizerResult("EMAIL", match.start(), at, EntityRecognizer.MAX_SCORE))
        return found

    def _host(self, candidate: str) -> str:
        """The longest beginning of `candidate` that is a name under a known suffix; "" for none."""
        while candidate and not self._suffixes.extract_str(candidate).suffix:
            candidate = _LAST_LABEL.sub("", candidate)
        return candidate


class Phones(LocalRecognizer):
    """Numbers of a telephone's shape that libphonenumber confirms."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["PHONE"], context=list(_PHONE_LABELS))

    def load(self) -> None:
        """Nothing to load: libphonenumber reads a region's rules when it meets one."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts) -> list[RecognizerResult]:
        return [RecognizerResult("PHONE", start, end, score) for start, end, score in find_phones(text)]


class Ibans(LocalRecognizer):
    """IBANs in either case, grouped or not, cut to their country's length so that the next word does no harm."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["IBAN"])
        self._formats = {country: re.compile(pattern) for country, pattern in regex_per_country.items()}

    def load(self) -> None:
        """Nothing to load: the formats are Presidio's table."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts) -> list[RecognizerResult]:
        lengths = ((match.start(), self._length(match[1])) for match in _IBAN.finditer(text))
        return [
            RecognizerResult("IBAN", start, start + length, EntityRecognizer.MAX_SCORE)
            for start, length in lengths
            if length
        ]

    def _length(self, candidate: str) -> int:
        """How many characters of `candidate` are an IBAN (ISO 13616); 0 for none."""
        places = [place for place, character in enumerate(candidate) if character.isalnum()]
        compact = "".join(candidate[place] for place in places).upper()
        country = self._formats.get(compact[:2])
        fit = country.match(compact) if country else None
        if not fit or int("".join(str(int(c, 36)) for c in compact[4 : fit.end()] + compact[:4])) % 97 != 1:
            return 0
        return places[fit.end() - 1] + 1


class Cryptos(CryptoRecognizer):
    """Bitcoin addresses by checksum, Ethereum addresses by shape."""

    def __init__(self) -> None:
        bitcoin = Pattern("bitcoin", r"(?<!\w)(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25,59}(?!\w)", MEDIUM)
        super().__init__(patterns=[bitcoin, Pattern("ethereum", r"(?<!\w)0x[a-f0-9]{40}(?!\w)", MEDIUM)])

    def validate_result(self, pattern_text: str) -> bool:
        return pattern_text[:2].lower() == "0x" or bool(super().validate_result(pattern_text))


class Checked(PatternRecognizer):
    """Shapes with a check that can only rule out: one order number in ten passes it, so a label counts as well."""

    def __init__(
        self, kind: str, shapes: Sequence[Pattern], labels: Sequence[str], check: Callable[[str], bool | None]
    ) -> None:
        self._check = check
        super().__init__(kind, patterns=list(shapes), context=list(labels))

    def invalidate_result(self, pattern_text: str) -> bool:
        return not self._check(pattern_text)


def all_recognisers() -> list[EntityRecognizer]:
    """One of each. Kinds are the entities' names."""
    return [
        Emails(),
        Phones(),
        Ibans(),
        CreditCardRecognizer(patterns=[Pattern("brands", _CARD, WEAK)]),
        Cryptos(),
        Checked("IP", _ADDRESSES, ("ip", "address", "host"), _points_to_someone),
        Checked("NHS", [_NHS], ("nhs", "patient"), NhsRecognizer().validate_result),
        Checked("MEDICAL_LICENSE", [_DEA], ("dea", "medical"), MedicalLicenseRecognizer().validate_result),
        PatternRecognizer("SSN", patterns=_SSNS, context=["ssn", "ssns", "social"]),
        PatternRecognizer("PASSPORT", patterns=[Pattern("number", _PASSPORT, WEAK)], context=list(_PASSPORT_LABELS)),
        PatternRecognizer("BANK_ACCOUNT", patterns=[Pattern("digits", _ACCOUNT, WEAK)], context=list(_BANK_LABELS)),
    ]


_ADDRESSES: Final = (
    Pattern("IPv4", r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", MEDIUM),
    Pattern("IPv6", r"(?<![\w:.])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])", MEDIUM),
)
_NHS: Final = Pattern("ten digits", rf"{_LONE}\d{{3}}[- ]?\d{{3}}[- ]?\d{{4}}{_END}", WEAK)
_DEA: Final = Pattern("DEA", rf"{_LONE}[a-hj-mp-ux](?:[a-z]|9)\d{{7}}{_END}", WEAK)
_SSNS: Final = [
    Pattern("dashes", _SSN % ("-", "-"), MEDIUM),
    Pattern("plain", _SSN % ("[ .]?", "[ .]?"), WEAK),
]


def _points_to_someone(text: str) -> bool:
    """Neither loopback nor `::`, and no C++ or Rust path that happens to be hexadecimal."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    long_enough = address.version == 4 or sum(map(bool, text.split(":"))) >= 3
    return long_enough and not address.is_loopback and not address.is_unspecified
