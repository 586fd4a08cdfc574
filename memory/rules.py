"""The rules that tell a lasting statement from a request. Each matches one sentence with its quotations blanked out."""

import re
from typing import Final

from memory.item import Kind

# Parts that patterns share; all are matched without regard to case.
_LEAD: Final = (
    r"(?:(?:hi|hello|hey|ok|okay|also|and|oh|btw|by the way|quick thing|(?:and )?(?:one|another) (?:more )?thing"
    r"|in addition|finally|personally)[,:!]? )*(?:please,? )?"
)
_LASTING: Final = (
    r"(?:from now on|from (?:today|this day|tomorrow) (?:on|onwards?|forward)|going forward|in (?:the )?future"
    r"|by default|as a (?:general )?rule|(?:every time|each time|whenever)\b"
    r"|in (?:any|all|each|every|everything)(?: one)?(?: of)?(?: you| your| my| our)\b)"
)
_TASK: Final = (
    r"(?:find|list|show|compare|calculate|compute|check|recheck|count|draft|write|summari[sz]e|translate|explain|tell|give"
    r"|let me|search|look|make (?:a|me)|create|send|verify|sum|add|get|extract|identify|describe|analy[sz]e|review"
    r"|prepare|correct|fix|answer|which|what|who|where|when|why|how)\b"
)
# "My boss is asking", "our site is down": how things stand now, not what they are.
_LASTINGLY: Final = (
    r"(?: is| are|'s|:) (?!\w+ing\b|(?:not|wrong|late|missing|broken|over|under|too|very|so|still|already|away|out|down"
    r"|slow|full|right|on leave|on holiday|sick|ill|also|now|a bit|a little)\b)"
)
_MINE: Final = (
    r"(?:[a-z]+ )?(?:department|team|role|job|job title|title|position|profession|name|nickname|pronouns|manager|boss"
    r"|supervisor|assistant|deputy|employer|company|organi[sz]ation|office|plant|warehouse|branch|site|region|country|city"
    r"|location|language|currency|time ?zone|locale|units?|date format|address|e-?mail|phone|birthday|preference)"
)
_OURS: Final = (
    r"(?:[a-z]+ )?(?:company|firm|business|organi[sz]ation|department|team|office|plant|warehouse|currency|policy"
    r"|standard|convention|(?:fiscal|financial|business) year|headquarters?|supplier|stock list|price list|time ?zone"
    r"|language|website|system|erp|crm)"
)
_OUTPUT: Final = (
    r"(?:amount|total|sum|price|cost|date|answer|repl(?:y|ie)|report|figure|number|result|table|chart|summar(?:y|ie)"
    r"|e-?mail|source|unit|percentage|everything)s?"
)
_PAST: Final = r"(?:\w+ed|have|got|sent|paid|had|was|were|did|saw|went|made|found|came|took|gave|knew|thought|heard)\b"
_USUALLY: Final = r"(?:always|usually|generally|normally|typically)"
_I_AM: Final = r"(?:i'm|i am|we're|we are)"
_LATER: Final = r"(?:when|whenever|if|once|after|before|back|later|again|at|on|as soon|about|in|asap)\b"
_ONE_OF_TWO: Final = r"(?:the (?:first|second|cheaper|cheapest|other|latter|former)|not)\b"

REQUEST: Final = re.compile(
    rf"^{_LEAD}{_TASK}|[,;:] ?(?:(?:so|and|please|then|now|but) )*{_TASK}|\band (?:i )?(?:need|want|would like)\b",
    re.IGNORECASE,
)
"""The sentence asks for something to be done now."""

STANDING: Final = re.compile(rf"\b{_LASTING}|^{_LEAD}(?:always|never)\b", re.IGNORECASE)
"""It says of itself that it holds from now on; then even a request is a standing one."""

ABOUT_THE_TASK: Final = re.compile(
    r"\b(?:the|this|that|these|those) (?:csv|file|folder|document|attachment|sheet|spreadsheet|table|column|data)s?\b",
    re.IGNORECASE,
)
"""It speaks about what lies before us, not about the person."""

_KEEP_IN_MIND: Final = (
    rf"^{_LEAD}(?:remember|note|keep in mind|bear in mind|don't forget|do not forget)"
    r"(?: that\b|: ?(?:that|our|my|we|i)\b| (?=i\b|i'm|we\b|my\b|our\b))",
    rf"^{_LEAD}for (?:future|your) (?:reference|information)[,:]",
)
_NAMED: Final = (
    rf"^{_LEAD}(?:you (?:can|may) |do )?(?:call|address) me (?!{_LATER})",
    rf"^{_LEAD}(?:refer to me as|my \w*name is|my pronouns are) ",
)
_STANDING_ORDER: Final = (
    rf"^{_LEAD}(?:make sure (?:to |(?:that )?you )|be sure to |do )?(?:always|never|do(?:n't| not) ever)\b,? \w+\W+\w+",
    rf"\byou (?:should |must |shall |need to |have to |are to )?(?:always|never) (?!{_PAST})\w+",
    r"\b(?:like|want|need|expect|prefer) you to (?:always|never)\b",
    rf"^(?:all |any |every )?(?:[a-z]+ )?{_OUTPUT} (?:should|must) (?:always|never) (?!have\b|been\b)\w+",
    r"\w, (?:always|ever)[.!]*$",
    rf"(?:^|, ?){_LEAD}{_LASTING}|\b{_LASTING}[.!]*$",
    rf"^{_LEAD}(?:do not|don't|use|keep|avoid|write|give|show|put)\b.*\b{_LASTING}",
)
_HABIT: Final = (
    rf"\bi(?:'d| would)? (?:{_USUALLY}|never) (?:want|need|prefer|like|expect|use|work)\b",
    rf"^(?:\w+[,:] )*{_USUALLY},? i (?:want|need|prefer|like|expect|use)\b",
    rf"^{_LEAD}i (?:much |strongly |really )?prefer (?!{_ONE_OF_TWO})\w+",
    r"^i(?:'d| would) (?:much )?rather (?:have|get|see|read|not)\b",
)
_TASTE: Final = (
    r"^i (?:really )?(?:don't like|do not like|dislike|hate|can't stand|cannot stand|love)\b",
    r"^i (?:really )?like (?:it when|my|your|answers|reports|to (?:have|see|get))\b",
)
_MYSELF: Final = (
    rf"^{_LEAD}my {_MINE}{_LASTINGLY}",
    r"^i (?:work (?:in|at|for|as)|live in|report to|speak) ",
    rf"^{_I_AM} (?:(?:based|located) in|responsible for|in charge of|allergic|vegetarian|vegan)\b",
    rf"^{_I_AM} (?:the (?!ones?\b)|an? (?!bit\b|little\b|lot\b|moment\b|few\b))\w+",
)
_US: Final = (
    rf"^our {_OURS}(?:{_LASTINGLY}| (?:uses?|starts?|ends?|begins?|runs|works|has|follows|sells|makes)\b)",
    r"^we (?:only )?(?:use|(?:work|report|invoice) (?:with|in)) .*(?:\b(?:as (?:our|the)|for (?:our|all)) |\bonly\b)",
    rf"^we (?:always|never|only) (?!{_PAST}|need\b|want\b)\w+ \w+",
)
_BY_CERTAINTY: Final[tuple[tuple[Kind, float, tuple[str, ...]], ...]] = (
    ("note", 0.95, _KEEP_IN_MIND),
    ("profile", 0.9, _NAMED),
    ("preference", 0.9, _STANDING_ORDER),
    ("preference", 0.85, _HABIT),
    ("preference", 0.8, _TASTE),
    ("profile", 0.8, _MYSELF),
    ("profile", 0.75, _US),
)

RULES: Final[tuple[tuple[Kind, float, re.Pattern[str]], ...]] = tuple(
    (kind, confidence, re.compile("|".join(patterns), re.IGNORECASE)) for kind, confidence, patterns in _BY_CERTAINTY
)
"""(kind, confidence 0..1, pattern); the first that matches counts."""
