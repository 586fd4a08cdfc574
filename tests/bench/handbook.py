"""A folder of generated Markdown: headings, paragraphs, and now and then somebody's e-mail address and phone number."""

import random
from pathlib import Path

_CHARACTERS = 4_096
_SECTION = 700
_VOCABULARY = """
account agreement allowance amount approval archive area audit balance branch budget building carrier category charge
claim clause client contract country coverage customer deadline delivery department deposit device discount document
driver duty energy engine equipment estimate evidence export facility factory filter freight guarantee harbour heating
import income index inspection insurance interest inventory invoice journey label ledger licence limit machine manager
market material measure meeting member method minute model month notice office operation order packet partner payment
period permit person plan platform policy portion premium price procedure product project purchase quality quarter quota
rate receipt record refund region register rental repair report request reserve result return review risk route rule
salary schedule season sector service shipment site stage standard station storage supplier supply survey system target
tariff terminal ticket transfer transport travel unit valuation vehicle visit voucher warehouse warranty week workshop
"""
_WORDS = _VOCABULARY.split()
_NAMES = ("anna", "bruno", "carla", "dario", "elena", "felix", "greta", "hugo", "irene", "jonas", "klara", "lukas")


def write(folder: Path, files: int) -> None:
    """`files` files of about 4 kB in nested folders; the same ones every time."""
    chance = random.Random(4)
    for number in range(files):
        path = folder / f"part-{number % 10}" / f"page-{number:03}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_page(chance, number), "utf-8")


def _page(chance: random.Random, number: int) -> str:
    text = f"# Page {number}: {_title(chance)}\n"
    while len(text) < _CHARACTERS:
        text += f"\n## {_title(chance)}\n\n{_paragraph(chance)}\n"
    return text


def _title(chance: random.Random) -> str:
    return " ".join(chance.sample(_WORDS, 3)).capitalize()


def _paragraph(chance: random.Random) -> str:
    sentences = [_contact(chance)] if chance.random() < 0.3 else []
    while sum(map(len, sentences)) < _SECTION:
        words = " ".join(chance.choices(_WORDS, k=chance.randint(6, 16)))
        sentences.append(f"{words.capitalize()} {_amount(chance)}.")
    return " ".join(sentences)


def _amount(chance: random.Random) -> str:
    return chance.choice(("as agreed", f"{chance.randint(2, 90)} days", f"EUR {chance.randint(10, 9_999)}.50"))


def _contact(chance: random.Random) -> str:
    name = f"{chance.choice(_NAMES)}.{chance.choice(_WORDS)}"
    return f"Ask {name}@example.com or call +1 212 555 {chance.randint(100, 199):04}."
