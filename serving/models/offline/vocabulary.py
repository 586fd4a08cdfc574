"""What the offline model knows of English, as data: small and general, with nothing about any one domain."""

from typing import Final


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def either(text: str) -> str:
    """Words as alternatives of a regular expression; `_` stands for a space within one."""
    return "|".join(text.split()).replace("_", " ")


# Words without a meaning of their own in a question.
STOP: Final = words(
    """a about above according again all also am an and any are as ask at be been before being below between both but
    by can check compare could currently describe did do does doing done down each early either else ever every
    exactly exceed exceeding explain far fast find for from get give given got had has have he her here him his how i
    if in into is it its just kindly know let like list long look lot many may me might mine more most much must
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
# Groups of words that may stand for each other, one group a line.
SYNONYMS: Final = tuple(
    tuple(group.split())
    for group in """approve authorise authorize signoff
    price cost fee charge
    expense cost spending expenditure purchase
    employee staff worker personnel colleague
    vacation holiday
    cancel terminate
    delivery shipping dispatch
    car vehicle
    duration length term period
    deadline due
    responsible accountable owner
    doctor physician
    maximum max limit
    minimum min least
    phone telephone
    salary wage remuneration
    customer client
    invoice bill
    late delay overdue
    hotel accommodation lodging
    travel transport flight train
    warranty guarantee
    policy rule guideline regulation procedure
    keep retain retention store
    answer respond response reply react
    attendee participant
    supplier vendor
    remote telework homeoffice
    child kid
    weight weigh heavy
    purchase buy
    refund reimburse moneyback
    return sendback
    mandatory required obligatory compulsory
    free gratis
    discount rebate
    begin start commence
    end finish
    contact ask reach
    year annual yearly
    month monthly
    week weekly
    day daily
    hour hourly
    quantity unit piece
    amount value total revenue sale turnover sum spend
    country nation
    staff team
    drug medicine medication
    mean average""".splitlines()
)
# Phrases that mean one word: the word is added to the text's words wherever the phrase stands.
PHRASES: Final = {
    "sign off": "approve", "signed off": "approve", "signs off": "approve", "annual leave": "vacation",
    "paid leave": "vacation", "time off": "vacation", "days off": "vacation", "pto": "vacation", "send back": "return",
    "sent back": "return", "money back": "refund", "work from home": "remote", "working from home": "remote",
    "home office": "remote", "took part": "attendee", "in charge": "responsible", "at most": "maximum",
    "up to": "maximum", "at least": "minimum", "carried out": "done", "free of charge": "gratis",
    "look after": "responsible",
}  # fmt: skip
IRREGULAR: Final = {
    "paid": "pay", "sold": "sell", "sale": "sell", "sales": "sell", "sent": "send", "bought": "buy",
    "spent": "spend", "held": "hold", "kept": "keep", "people": "person", "children": "child", "lost": "lose",
    "used": "use", "using": "use", "took": "take", "taken": "take", "dealt": "deal", "begun": "begin",
    "began": "begin", "made": "make", "men": "man", "built": "build", "women": "woman", "gave": "give",
    "written": "write", "wrote": "write", "saw": "see", "seen": "see",
}  # fmt: skip
SUFFIXES: Final = (
    ("ization", 4), ("isation", 4), ("ation", 4), ("ment", 3), ("ance", 4), ("ence", 4), ("able", 3), ("ible", 4),
    ("ness", 4), ("ing", 3), ("ion", 4), ("ies", 3), ("ied", 3), ("al", 4), ("ed", 3), ("es", 3), ("ly", 4),
    ("ate", 4), ("at", 4), ("s", 3), ("e", 3), ("y", 4), ("i", 4),
)  # fmt: skip
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ONES: Final = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBERS: Final = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * ten for ten, word in enumerate(_TENS.split(), start=2)
}
SCALES: Final = {"k": 1_000, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000, "hundred": 100}
# unit -> (dimension, size in the dimension's smallest unit here); a month counts as 30 days, a year as 365.
UNITS: Final = {
    "second": ("time", 1), "sec": ("time", 1), "minute": ("time", 60), "min": ("time", 60), "hour": ("time", 3_600),
    "h": ("time", 3_600),
    "hr": ("time", 3_600), "day": ("time", 86_400), "night": ("time", 86_400), "week": ("time", 604_800),
    "month": ("time", 2_592_000), "quarter": ("time", 7_776_000), "year": ("time", 31_536_000),
    "%": ("percent", 1), "percent": ("percent", 1), "€": ("money", 1), "eur": ("money", 1), "euro": ("money", 1),
    "$": ("money", 1), "usd": ("money", 1), "dollar": ("money", 1), "£": ("money", 1), "gbp": ("money", 1),
    "pound": ("money", 1), "chf": ("money", 1), "sek": ("money", 1), "nok": ("money", 1), "dkk": ("money", 1),
    "pln": ("money", 1), "jpy": ("money", 1), "cent": ("money", 0.01),
    "mg": ("mass", 0.001), "g": ("mass", 1), "kg": ("mass", 1_000), "kilogram": ("mass", 1_000), "tonne": ("mass", 1e6),
    "t": ("mass", 1e6), "lb": ("mass", 454), "mm": ("length", 1), "cm": ("length", 10), "m": ("length", 1_000),
    "metre": ("length", 1_000), "meter": ("length", 1_000), "km": ("length", 1e6), "mile": ("length", 1_609_344),
    "kb": ("data", 1), "mb": ("data", 1e3), "gb": ("data", 1e6), "tb": ("data", 1e9),
    "ml": ("volume", 1), "l": ("volume", 1_000), "litre": ("volume", 1_000), "liter": ("volume", 1_000),
    "w": ("power", 1), "kw": ("power", 1_000), "mw": ("power", 1e6), "kwh": ("energy", 1), "mwh": ("energy", 1e3),
    "°c": ("temperature", 1), "degree": ("temperature", 1),
}  # fmt: skip
# What people call a dimension.
MEASURED: Final = {
    "time": "time duration", "energy": "energy electricity power", "power": "power", "mass": "weight",
    "length": "distance length", "volume": "volume", "data": "storage", "money": "money", "temperature": "temperature",
}  # fmt: skip
# `how heavy` asks for a weight: a figure of that dimension says the word.
DEGREES: Final = {
    "warm": "temperature", "hot": "temperature", "cold": "temperature", "heavy": "mass", "far": "length",
    "tall": "length",
    "high": "length", "wide": "length", "deep": "length", "old": "time", "expensive": "money", "dear": "money",
}  # fmt: skip
# Comparatives and superlatives: +1 asks for the larger, -1 for the smaller; the noun is what a bare one speaks of.
EXTREMES: Final = {
    "highest": 1, "most": 1, "largest": 1, "biggest": 1, "longest": 1, "maximum": 1, "max": 1, "top": 1, "greatest": 1,
    "heaviest": 1, "oldest": 1, "latest": 1, "best": 1, "lowest": -1, "least": -1, "smallest": -1, "fewest": -1,
    "shortest": -1, "minimum": -1, "min": -1, "cheapest": -1, "earliest": -1, "lightest": -1, "fastest": -1,
    "newest": 1,
    "dearest": 1, "quickest": -1, "slowest": 1, "worst": -1, "priciest": 1, "bottom": -1,
}  # fmt: skip
COMPARATIVES: Final = {
    "higher": (1, ""), "more": (1, ""), "larger": (1, ""), "bigger": (1, ""), "greater": (1, ""), "longer": (1, ""),
    "heavier": (1, "weight"), "later": (1, ""), "older": (1, "age"), "slower": (1, "time"), "expensive": (1, "price"),
    "pricier": (1, "price"), "dearer": (1, "price"), "lower": (-1, ""), "less": (-1, ""), "smaller": (-1, ""),
    "fewer": (-1, ""),
    "shorter": (-1, ""), "cheaper": (-1, "price"), "earlier": (-1, ""), "lighter": (-1, "weight"),
    "faster": (-1, "time"),
    "quicker": (-1, "time"), "sooner": (-1, ""), "newer": (1, ""), "better": (1, ""), "further": (1, ""),
}  # fmt: skip
