"""The rules that tell a lasting statement from a request. Each matches one sentence with its quotations blanked out."""

import re
from typing import Final

from memory.item import Kind

_LEAD: Final = (
    r"(?:(?:hi|hello|hey|ok|okay|also|and|oh|btw|by the way|quick thing|(?:and )?(?:one|another) (?:more )?thing|in addition"
    r"|finally|personally)[,:!]? )*(?:please,? )?"
)
_LASTING: Final = (
    r"from now on|from (?:today|this day|tomorrow) (?:on|onwards?|forward)|going forward|in (?:the )?future|by default"
    r"|as a (?:general )?rule|(?:every time|each time|whenever)\b"
    r"|in (?:any|all|each|every|everything)(?: one)?(?: of)?(?: you| your| my| our)\b"
)
_TASK: Final = (
    r"(?:find|list|show|compare|calculate|compute|check|count|draft|write|summari[sz]e|translate|explain|tell|give|let me"
    r"|search|look|make (?:a|me)|create|send|verify|sum|add|get|extract|identify|describe|analy[sz]e|review|prepare|correct|fix"
    r"|recheck|answer|which|what|who|where|when|why|how)\b"
)
_HAS: Final = r"(?: is| are|'s|:) "
# "My boss is asking", "our site is down": how things stand now, not what they are.
_NOW: Final = (
    r"(?!\w+ing\b|(?:not|wrong|late|missing|broken|over|under|too|very|so|still|already|away|out|down|slow|full|right|on leave"
    r"|on holiday|sick|ill|also|now|a bit|a little)\b)"
)
_MINE: Final = (
    r"(?:[a-z]+ )?(?:department|team|role|job|job title|title|position|profession|name|nickname|pronouns|manager|boss"
    r"|supervisor|assistant|deputy|employer|company|organi[sz]ation|office|plant|warehouse|branch|site|region|country|city"
    r"|location|language|currency|time ?zone|locale|units?|date format|address|e-?mail|phone|birthday|preference)"
)
_OURS: Final = (
    r"(?:[a-z]+ )?(?:company|firm|business|organi[sz]ation|department|team|office|plant|warehouse|currency|policy|standard"
    r"|convention|(?:fiscal|financial|business) year|headquarters?|supplier|stock list|price list|time ?zone|language|website"
    r"|system|erp|crm)"
)
_OUTPUT: Final = (
    r"(?:amount|total|sum|price|cost|date|answer|repl(?:y|ie)|report|figure|number|result|table|chart|summar(?:y|ie)|e-?mail"
    r"|source|unit|percentage|everything)s?"
)
_PAST: Final = r"(?:\w+ed|have|got|sent|paid|had|was|were|did|saw|went|made|found|came|took|gave|knew|thought|heard)\b"
_USUALLY: Final = r"(?:always|usually|generally|normally|typically)"

REQUEST: Final = re.compile(
    rf"^{_LEAD}{_TASK}|[,;:] ?(?:(?:so|and|please|then|now|but) )*{_TASK}|\band (?:i )?(?:need|want|would like)\b",
    re.IGNORECASE,
)
"""The sentence asks for something to be done now."""

STANDING: Final = re.compile(rf"\b(?:{_LASTING})|^{_LEAD}(?:always|never)\b", re.IGNORECASE)
"""It says of itself that it holds from now on; then even a request is a standing one."""

ABOUT_THE_TASK: Final = re.compile(
    r"\b(?:the|this|that|these|those) (?:csv|file|folder|document|attachment|sheet|spreadsheet|table|column|data)s?\b", re.IGNORECASE
)
"""It speaks about what lies before us, not about the person."""

_PATTERNS: Final[tuple[tuple[Kind, float, str], ...]] = (
    (
        "note",
        0.95,
        rf"^{_LEAD}(?:(?:remember|note|keep in mind|bear in mind|don't forget|do not forget)(?: that\b|: ?(?:that|our|my|we|i)\b"
        r"| (?=i\b|i'm|we\b|my\b|our\b))|for (?:future|your) (?:reference|information)[,:])",
    ),
    (
        "profile",
        0.9,
        rf"^{_LEAD}(?:(?:you (?:can|may) |do )?(?:call|address) me (?!when|if|once|after|before|back|later|again|at\b|on\b|as soon"
        r"|about|in\b|whenever|asap)|refer to me as |my \w*name is |my pronouns are )",
    ),
    (
        "preference",
        0.9,
        rf"^{_LEAD}(?:make sure (?:to|you|that you) |be sure to |do )?(?:always|never|don't ever|do not ever)\b,? \w+\W+\w+",
    ),
    ("preference", 0.9, rf"\byou (?:should |must |shall |need to |have to |are to )?(?:always|never) (?!{_PAST})\w+"),
    ("preference", 0.9, r"\b(?:like|want|need|expect|prefer) you to (?:always|never)\b"),
    ("preference", 0.9, rf"^(?:all |any |every )?(?:[a-z]+ )?{_OUTPUT} (?:should|must) (?:always|never) (?!have\b|been\b)\w+"),
    ("preference", 0.9, r"\w, (?:always|ever)[.!]*$"),
    ("preference", 0.9, rf"(?:^|, ?){_LEAD}(?:{_LASTING})|\b(?:{_LASTING})[.!]*$"),
    ("preference", 0.9, rf"^{_LEAD}(?:do not|don't|use|keep|avoid|write|give|show|put)\b.*\b(?:{_LASTING})"),
    ("preference", 0.85, rf"\bi(?:'d| would)? (?:{_USUALLY}|never) (?:want|need|prefer|like|expect|use|work)\b"),
    ("preference", 0.85, rf"^(?:\w+[,:] )*{_USUALLY},? i (?:want|need|prefer|like|expect|use)\b"),
    (
        "preference",
        0.85,
        rf"^{_LEAD}i (?:much |strongly |really )?prefer (?!the (?:first|second|cheaper|cheapest|other|latter|former)\b|not\b)\w+",
    ),
    ("preference", 0.85, r"^i(?:'d| would) (?:much )?rather (?:have|get|see|read|not)\b"),
    ("preference", 0.8, r"^i (?:really )?(?:don't like|do not like|dislike|hate|can't stand|cannot stand|love)\b"),
    ("preference", 0.8, r"^i (?:really )?like (?:it when|my|your|answers|reports|to (?:have|see|get))\b"),
    ("profile", 0.85, rf"^{_LEAD}my {_MINE}{_HAS}{_NOW}"),
    ("profile", 0.75, rf"^our {_OURS}(?:{_HAS}{_NOW}| (?:uses?|starts?|ends?|begins?|runs|works|has|follows|sells|makes)\b)"),
    ("profile", 0.8, r"^i (?:work (?:in|at|for|as)|live in|report to|speak) "),
    ("profile", 0.8, r"^(?:i'm|i am|we're|we are) (?:(?:based|located) in|responsible for|in charge of|allergic|vegetarian|vegan)\b"),
    ("profile", 0.75, r"^(?:i'm|i am|we're|we are) (?:the (?!ones?\b)|an? (?!bit\b|little\b|lot\b|moment\b|few\b))\w+"),
    ("profile", 0.75, r"^we (?:only )?(?:use|work with|work in|report in|invoice in) .*(?:\b(?:as (?:our|the)|for (?:our|all)) |\bonly\b)"),
    ("profile", 0.75, rf"^we (?:always|never|only) (?!{_PAST}|need\b|want\b)\w+ \w+"),
)

RULES: Final = tuple((kind, sure, re.compile(pattern, re.IGNORECASE)) for kind, sure, pattern in _PATTERNS)
"""(kind, confidence 0..1, pattern); the first that matches counts."""
