"""A botanic garden's papers: the folder that the ten goals ask about. Everything in it is invented."""

from pathlib import Path

from tests.evals.pdf import pdf

_TEXTS = {
    "about.md": """# Alder Hill Botanic Garden

Alder Hill was laid out in 1911 on the site of a slate quarry. It covers 12.4 hectares and has three glasshouses open
to the public. The head gardener is in the potting shed every Tuesday morning and answers visitors' questions.

## Friends of the garden
The Friends have 640 members. They pay for one new bench a year.
""",
    "visitors/opening-hours.md": """# Opening hours

From April to September the garden is open daily from 9:00 to 18:30. From October to March it closes at 16:00.
It is closed on 24 and 25 December.

## Glasshouses
The glasshouses close half an hour before the garden does.
""",
    "visitors/tickets.html": """<html><head><title>Tickets</title></head><body>
<h1>Tickets</h1>
<p>Children under six enter free of charge.</p>
<table><tr><th>Ticket</th><th>Price</th></tr>
<tr><td>Adult</td><td>11.00 EUR</td></tr>
<tr><td>Concession</td><td>7.50 EUR</td></tr>
<tr><td>Family ticket</td><td>26.50 EUR</td></tr></table>
<h2>Night opening</h2><p>The night opening on 19 June 2026 costs 15.00 EUR a person.</p>
</body></html>
""",
    "visitors/accessibility.txt": """Accessibility

Two wheelchairs can be borrowed at the gate. The path to the Fern House has eleven steps and no ramp.
Assistance dogs are welcome everywhere except in the Tropical House kitchen.
""",
    "greenhouses/tropical-house.md": """# Tropical House

The Tropical House must be kept at 18 °C or more at night. By day it is kept between 24 and 30 °C.

## Water
The Tropical House uses 4,200 litres of water a week.
""",
    "greenhouses/desert-house.md": """# Desert House

The Desert House may cool down to 8 °C at night in winter. Vents open at 32 °C.

## Water
The Desert House uses 350 litres of water a week.
""",
    "greenhouses/fern-house.md": """# Fern House

The Fern House stays above 10 °C at night. The mist runs for four minutes every hour.

## Water
The Fern House uses 2,900 litres of water a week.
""",
    "operations/storm-repairs.md": """# Repairs after the February storm

The storm of 8 February 2026 broke panes in two houses. What the repairs cost:

- Ridge panes, Fern House: 340.00 EUR
- Door hinge, Desert House: 125.50 EUR
- Gutter, Tropical House: 89.90 EUR

The quarry wall held.
""",
    "operations/safety/ladders.txt": """Ladder rules

Nobody works on a ladder alone. Ladders longer than 4 metres are inspected every six months.
""",
    "operations/suppliers.md": """# Suppliers

## Kelpie Tools
Kelpie Tools sharpens blades free of charge for two years.

## Mossbank Peat
Mossbank Peat adds a delivery surcharge of 35 EUR a load. It delivers on Thursdays only.

## Northlight Glass
Northlight Glass keeps our pane sizes on file.
""",
    "collections/accessions.csv": """accession,species,house,planted_on,status,replacement_value
A-1001,Victoria amazonica,Tropical House,2021-04-12,alive,180.00
A-1002,Musa acuminata,Tropical House,2019-03-02,alive,45.50
A-1003,Theobroma cacao,Tropical House,2018-06-20,dead,60.00
A-1004,Vanilla planifolia,Tropical House,2022-05-15,alive,75.25
A-1005,Carnegiea gigantea,Desert House,2001-09-01,alive,950.00
A-1006,Echinocactus grusonii,Desert House,1998-05-05,alive,420.00
A-1007,Aloe dichotoma,Desert House,2010-10-10,dead,310.00
A-1008,Welwitschia mirabilis,Desert House,2012-04-18,alive,1200.00
A-1009,Lithops lesliei,Desert House,2020-02-28,alive,12.40
A-1010,Dicksonia antarctica,Fern House,2005-07-07,alive,640.00
A-1011,Platycerium bifurcatum,Fern House,2016-11-30,alive,88.00
A-1012,Asplenium nidus,Fern House,2017-08-14,dead,35.00
A-1013,Adiantum raddianum,Fern House,2023-03-21,alive,18.75
A-1014,Angiopteris evecta,Fern House,2009-01-19,alive,510.00
""",
    "finance/purchases.csv": """order_id,supplier,category,ordered_on,net_eur,vat_eur,paid
P-01,Kelpie Tools,tools,2026-01-14,312.40,59.36,yes
P-02,Mossbank Peat,soil,2026-01-20,780.00,148.20,yes
P-03,Kelpie Tools,tools,2026-02-03,89.90,17.08,no
P-04,Northlight Glass,glass,2026-02-11,2450.00,465.50,yes
P-05,Mossbank Peat,soil,2026-03-05,640.50,121.70,no
P-06,Lumen Irrigation,irrigation,2026-03-18,1199.00,227.81,yes
P-07,Kelpie Tools,tools,2026-04-09,154.70,29.39,yes
P-08,Lumen Irrigation,irrigation,2026-04-22,305.25,58.00,no
P-09,Northlight Glass,glass,2026-05-06,1310.00,248.90,no
P-10,Mossbank Peat,soil,2026-05-27,415.00,78.85,yes
""",
}
_HEATING = [
    "Heating report",
    "In 2025 the garden burnt 31,600 cubic metres of gas.",
    "The heating cost of 2025 was 48,200 EUR.",
    "Boiler B2 was replaced in March 2026.",
]


def write_garden(root: Path) -> Path:
    """13 files: Markdown, text, HTML, a PDF and two CSV files, nested. Returns `root`."""
    for name, text in _TEXTS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (root / "operations" / "heating-report.pdf").write_bytes(pdf(_HEATING))
    return root
