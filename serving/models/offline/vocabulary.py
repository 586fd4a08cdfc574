"""What the offline model knows of English, as data: small and general, with nothing about any one domain."""

from typing import Final


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def either(text: str) -> str:
    """Words as alternatives of a regular expression; `_` stands for a space within one."""
    return "|".join(text.split()).replace("_", " ")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.replace("_", " ").split("=") for pair in text.split())


# Words without a meaning of their own in a question.
STOP: Final = words(
    """a about above according again all also am an and any are as ask at be been before being below between both but
    by can check compare could currently describe did do does doing done down each early either else ever every
    exactly exceed exceeding explain far fast find for from get give given got had has have he her here him his how i
    if in into is it its just know let like list long look lot many may me might mine more most much must
    my name need no not of off often old on once one only or other our out over own per please provide quickly say
    says see shall she should show since so some soon state stated still such tell than that the their them then
    there these they this those through to too under until up us very want was we well were what when where
    whether which while who whom whose why will with within without would you your told"""
)
# Words that a passage may leave out and still be the answer: actors, light verbs, generic nouns. Stemmed on use.
WEAK: Final = words(
    """add agency allow altogether amount apply association available business case charity client clinic club
    colleague college combined come company cooperative count current customer data date day deal detail document
    employ employee exist expect file firm folder follow full go guideline handle happen hold hospital hour
    include information involve item keep kind last library make mean member minute money month museum number
    offer organisation organization overall paid pay people person place policy possible procedure process receive
    record report require rule run school shop staff start step stop sum take team thing time total type
    university use user value week work worker year"""
)
# Words that may stand for each other, group by group.
_SYNONYMS: Final = """approve authorise authorize signoff / price cost fee charge / expense cost spending purchase
    / employee staff worker personnel colleague / vacation holiday / cancel terminate / delivery shipping dispatch
    / car vehicle / duration length term period / deadline due / responsible accountable owner / doctor physician
    / maximum max limit / minimum min least / phone telephone / salary wage / customer client / invoice bill
    / late delay overdue / hotel accommodation / travel transport flight train / warranty guarantee
    / policy rule guideline procedure / keep retain retention store / answer respond response reply react
    / attendee participant / supplier vendor / remote telework / child kid / weight weigh heavy / purchase buy
    / refund reimburse moneyback / return sendback / mandatory required obligatory compulsory / free gratis
    / discount rebate / begin start commence / end finish / contact ask reach / year annual yearly / month monthly
    / week weekly / day daily / hour hourly / quantity unit piece / country nation / staff team / mean average
    / amount value total revenue sale turnover sum spend / drug medicine medication"""
SYNONYMS: Final = tuple(tuple(group.split()) for group in _SYNONYMS.split("/"))
# Phrases that mean one word: the word is added to the text's words wherever the phrase stands.
PHRASES: Final = _pairs(
    """sign_off=approve signed_off=approve signs_off=approve annual_leave=vacation paid_leave=vacation time_off=vacation
    days_off=vacation send_back=return sent_back=return money_back=refund work_from_home=remote
    working_from_home=remote took_part=attendee in_charge=responsible at_most=maximum up_to=maximum
    at_least=minimum free_of_charge=gratis look_after=responsible"""
)
IRREGULAR: Final = _pairs(
    """paid=pay sold=sell sale=sell sales=sell sent=send bought=buy spent=spend held=hold kept=keep people=person
    children=child lost=lose used=use using=use took=take taken=take begun=begin began=begin made=make men=man
    women=woman built=build gave=give written=write wrote=write saw=see seen=see"""
)
SUFFIXES: Final = (
    ("ization", 4), ("isation", 4), ("ation", 4), ("ment", 3), ("ance", 4), ("ence", 4), ("able", 3), ("ible", 4),
    ("ness", 4), ("ing", 3), ("ion", 4), ("ies", 3), ("ied", 3), ("al", 4), ("ed", 3), ("es", 3), ("ly", 4),
    ("ate", 4), ("at", 4), ("s", 3), ("e", 3), ("y", 4), ("i", 4),
)  # fmt: skip
MONTHS: Final = _listed("january february march april may june july august september october november december")
WEEKDAYS: Final = _listed("monday tuesday wednesday thursday friday saturday sunday")
_ONES: Final = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBERS: Final = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * ten for ten, word in enumerate(_TENS.split(), start=2)
}
SCALES: Final = {"k": 1_000, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000, "hundred": 100}
# dimension -> what people call it; sizes are in the smallest unit; a month counts as 30 days, a year as 365.
MEASURED: Final = {
    "time": "time duration", "energy": "energy electricity power", "power": "power", "mass": "weight",
    "length": "distance length", "volume": "volume", "data": "storage", "money": "money", "temperature": "temperature",
}  # fmt: skip
_SIZES: Final = {
    "time": """second=1 sec=1 minute=60 min=60 mins=60 hour=3600 h=3600 hr=3600 day=86400 night=86400 week=604800
        month=2592000 quarter=7776000 year=31536000""",
    "percent": "%=1 percent=1 pct=1",
    "money": "€=1 eur=1 euro=1 $=1 usd=1 dollar=1 £=1 gbp=1 pound=1 chf=1 sek=1 nok=1 dkk=1 pln=1 jpy=1 cent=0.01",
    "mass": "mg=0.001 g=1 kg=1000 kilogram=1000 tonne=1e6 t=1e6 lb=454",
    "length": "mm=1 cm=10 m=1000 metre=1000 meter=1000 km=1e6 mile=1609344",
    "data": "kb=1 mb=1e3 gb=1e6 tb=1e9",
    "volume": "ml=1 l=1000 litre=1000 liter=1000",
    "power": "w=1 kw=1000 mw=1e6",
    "energy": "kwh=1 mwh=1e3",
    "temperature": "°c=1 degree=1",
}
# unit -> (dimension, size)
UNITS: Final = {
    unit: (dimension, float(size)) for dimension, sizes in _SIZES.items() for unit, size in _pairs(sizes).items()
}
# adjective -> (+1 for more or -1 for less, the dimension it measures, the noun that a bare comparative speaks of)
DEGREES: Final = {
    "high": (1, "length", ""), "large": (1, "", ""), "big": (1, "", ""), "great": (1, "", ""), "long": (1, "time", ""),
    "heavy": (1, "mass", "weight"), "old": (1, "time", "age"), "late": (1, "", ""), "slow": (1, "time", "time"),
    "expensive": (1, "money", "price"), "dear": (1, "money", "price"), "new": (1, "", ""),
    "tall": (1, "length", "height"),
    "wide": (1, "length", "width"), "deep": (1, "length", "depth"), "far": (1, "length", "distance"),
    "warm": (1, "temperature", "temperature"), "hot": (1, "temperature", "temperature"),
    "cold": (-1, "temperature", "temperature"), "low": (-1, "", ""), "small": (-1, "", ""), "few": (-1, "", ""),
    "short": (-1, "time", ""), "cheap": (-1, "money", "price"), "early": (-1, "", ""), "light": (-1, "mass", "weight"),
    "fast": (-1, "time", "time"), "quick": (-1, "time", "time"), "soon": (-1, "", ""),
}  # fmt: skip


def _form(word: str, ending: str) -> str:
    doubled = word + word[-1] if word in ("big", "hot") else word
    return (f"{word[:-1]}i" if word.endswith("y") else doubled.removesuffix("e")) + ending


_REGULAR: Final = {_form(word, "est"): word for word in DEGREES}
EXTREMES: Final = {form: DEGREES[word][0] for form, word in _REGULAR.items()} | {
    "most": 1, "maximum": 1, "max": 1, "top": 1, "best": 1, "least": -1, "minimum": -1, "min": -1, "worst": -1,
}  # fmt: skip
COMPARATIVES: Final = {_form(word, "er"): (sign, noun) for word, (sign, _, noun) in DEGREES.items()} | {
    "more": (1, ""), "less": (-1, ""), "better": (1, ""), "further": (1, ""), "expensive": (1, "price"),
}  # fmt: skip


def dimension(word: str) -> str:
    """What an adjective measures, in any of its forms."""
    base = word if word in DEGREES else _REGULAR.get(word, "")
    return DEGREES[base][1] if base else ""
