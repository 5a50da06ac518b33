"""Draws the results as one SVG: bars of time per engine, and the cost of an event over the size.

Colours change with the reader's light or dark scheme, so that it can stand in any page.
"""

import math
from xml.sax.saxutils import escape

import report

WIDTH, HEIGHT = 960, 470
STYLE = """
  .paper { fill: #ffffff } text { fill: #1d2b29 } .dim { fill: #5a6b68 }
  .grid { stroke: #d9e1e0; fill: none } .line { fill: none; stroke-width: 2 }
  .clickmill { fill: #0b7a6f } .duckdb { fill: #c07800 } .duckdb-keyed { fill: #94600a }
  .polars { fill: #4568c4 } .chdb { fill: #a33b74 }
  .line.clickmill { stroke: #0b7a6f; fill: none } .line.duckdb { stroke: #c07800; fill: none }
  .line.direct { stroke-dasharray: 6 4 } .line.alone { stroke-dasharray: 1 5; stroke-linecap: round }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14201e } text { fill: #e6eeec } .dim { fill: #9db0ac }
    .grid { stroke: #2c3c39 }
    .clickmill { fill: #2fb8a8 } .duckdb { fill: #e6a33c } .duckdb-keyed { fill: #c98a2e }
    .polars { fill: #8aa5f0 } .chdb { fill: #e083b5 }
    .line.clickmill { stroke: #2fb8a8 } .line.duckdb { stroke: #e6a33c }
  }
"""

GROUPS = (
    ("import, durable", "import", ("clickmill", "duckdb", "duckdb-keyed")),
    ("process from the store", "process", ("clickmill", "duckdb")),
    ("process after 10,000 new events", "again", ("clickmill", "duckdb")),
    ("JSON lines to answers, nothing stored", "direct", ("clickmill", "duckdb", "polars", "chdb")),
)
# name, engine, works, class of the line
CURVES = (
    ("Clickmill, import and process", "clickmill", ("import", "process"), "clickmill"),
    ("Clickmill, process alone", "clickmill", ("process",), "clickmill alone"),
    ("Clickmill, JSON lines to answers", "clickmill", ("direct",), "clickmill direct"),
    ("DuckDB, JSON lines to answers", "duckdb", ("direct",), "duckdb direct"),
)


def text(x, y, words, style="", **attributes):
    more = "".join(' %s="%s"' % (name.replace("_", "-"), value)
                   for name, value in attributes.items())
    return '<text x="%.1f" y="%.1f"%s%s>%s</text>' % (
        x, y, ' class="%s"' % style if style else "", more, escape(words))


def bars(data, left, top, width):
    """Groups of bars, each with its own scale; every bar has its number."""
    out, y = [], top
    for title, work, engines in GROUPS:
        known = [(engine, data.seconds("base", work, engine)) for engine in engines]
        known = [(engine, took) for engine, took in known if took is not None]
        if not known:
            continue
        longest = max(took for _, took in known)
        out.append(text(left, y + 12, title, font_weight=600))
        y += 20
        for engine, took in known:
            length = max(1.5, (width - 230) * took / longest)
            out.append(text(left + 125, y + 12, report.NAMES[engine], "dim", text_anchor="end"))
            out.append('<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="14" rx="2"/>' % (
                engine, left + 133, y, length))
            out.append(text(left + 139 + length, y + 12, report.seconds(took)))
            y += 19
        y += 12
    return out


def points(data):
    """The points of each curve: its name, class and (events, ns per event)."""
    for name, engine, works, style in CURVES:
        costs = [(size, data.cost(of, works, engine)) for size, of in data.by_size()]
        costs = [(size, cost) for size, cost in costs if cost]
        if costs:
            yield name, style, costs


def ticks(low, high):
    """1, 2, 5, 10 ... between two values, and one more on each side."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = [digit * 10 ** power for power in range(first, last + 1) for digit in (1, 2, 5)]
    return ([step for step in steps if step <= low][-1:]
            + [step for step in steps if low < step < high]
            + [step for step in steps if step >= high][:1])


def curves(data, left, top, width, height):
    """Nanoseconds per event over the number of events, both axes logarithmic."""
    known = list(points(data))
    if not known:
        return []
    sizes = sorted({size for _, _, costs in known for size, _ in costs})
    marks = ticks(min(cost for _, _, costs in known for _, cost in costs),
                  max(cost for _, _, costs in known for _, cost in costs))
    if len(marks) < 2:
        marks = [marks[0], marks[0] * 2]

    def place(size, cost):
        across = (math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])
                  if len(sizes) > 1 else 0.5)
        up = math.log(cost / marks[0]) / math.log(marks[-1] / marks[0])
        return left + 20 + across * (width - 40), top + height - up * height

    out = []
    for mark in marks:
        y = place(sizes[0], mark)[1]
        out.append('<path class="grid" d="M%.1f %.1fh%.1f"/>' % (left, y, width))
        out.append(text(left - 6, y + 4, "%g" % mark, "dim", text_anchor="end"))
    for size in sizes:
        out.append(text(place(size, marks[0])[0], top + height + 18, report.short(size), "dim",
                        text_anchor="middle"))
    for number, (name, style, costs) in enumerate(known):
        places = [place(*cost) for cost in costs]
        out.append('<path class="line %s" d="M%s"/>' % (
            style, "L".join("%.1f %.1f" % spot for spot in places)))
        out += ['<circle class="%s" cx="%.1f" cy="%.1f" r="4"/>' % (style.split()[0], x, y)
                for x, y in places]
        y = top - 18 * (len(known) - number)
        out.append('<path class="line %s" d="M%.1f %.1fh36"/>' % (style, left, y))
        out.append(text(left + 46, y + 4, name))
    out.append(text(left + width / 2, top + height + 38, "events", "dim", text_anchor="middle"))
    return out


def draw(results):
    """The SVG as a string."""
    data = report.Results(results)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, '
           'sans-serif" font-size="13" role="img" aria-labelledby="title">' % (WIDTH, HEIGHT),
           '<title id="title">Time of Clickmill and of other engines for the same work on %s '
           'events, and the cost of an event by the number of events</title>' % report.short(
               data.size),
           "<style>%s</style>" % STYLE,
           '<rect class="paper" width="%d" height="%d" rx="10"/>' % (WIDTH, HEIGHT),
           text(24, 32, "Time for %s events (shorter is better)" % report.short(data.size),
                font_size=16, font_weight=600),
           text(24, 50, "each group to its own scale", "dim")]
    out += bars(data, 24, 66, 480)
    out += [text(560, 32, "Cost per event (flat is better)", font_size=16, font_weight=600),
            text(560, 50, "nanoseconds, by number of events", "dim")]
    out += curves(data, 596, 150, 340, 262)
    return "\n".join(out + ["</svg>"]) + "\n"
