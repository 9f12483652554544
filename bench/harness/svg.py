"""The picture: for the cells that matter most, a bar per contender."""

from xml.sax.saxutils import escape

from . import fresh
from .tables import number

# A ratio to plain says most, but for what a sidecar needs when it does nothing.
SHOWN = (
    ("bulk 1 down", "One stream to the client"),
    ("bulk 8 down", "Eight streams to the client"),
    ("connections 1", "New connections, one at a time"),
    ("ping p50", "1 KiB there and back, median"),
    ("open loop p99", "1 KiB at 5000 a second, p99"),
    ("idle rss", "Memory of an idle sidecar"),
    ("memory per idle connection", "Memory of an idle connection, both sidecars"),
    ("start", "Start to first byte"),
)
CUT = 3.0  # ratios above: the bar ends, the number tells
WIDTH = 760
LEFT = 190  # where bars begin
RIGHT = 110  # room for the number behind the longest
BAR = 16
STEP = 22
HEAD = 56
GAP = 22
COLOURS = {"pavise": "#1a6e8e", "plain": "#777777", "direct": "#aaaaaa"}
OTHERS = "#c9b27c"
STYLE = """text { font: 13px sans-serif; fill: #222 }
.title { font-weight: bold; font-size: 15px }
.note { fill: #666; font-size: 12px }
.line { stroke: #777; stroke-dasharray: 3 3 }"""


def _colour(contender):
    return next((colour for start, colour in COLOURS.items() if contender.startswith(start)),
                OTHERS)


def _text(x, y, text, style=None, anchor="start"):
    mark = f' class="{style}"' if style else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{mark}>{escape(text)}</text>'


class _Scale:
    """What the bars of one cell show: values where it just started, ratios elsewhere."""

    def __init__(self, cell, members):
        self.cell = cell
        self.is_value = cell.group == fresh.GROUP
        longest = max(map(self.size, members))
        self.longest = longest if self.is_value else min(longest, CUT)
        self.unit = (WIDTH - LEFT - RIGHT) / self.longest

    def size(self, row):
        return row.value * self.cell.scale if self.is_value else row.ratio

    def width(self, row):
        return max(1.0, min(self.size(row), self.longest) * self.unit)

    def label(self, row):
        if self.is_value:
            return f"{number(self.size(row))} {self.cell.unit}"
        return f"{row.ratio:.2f}" + (" (bar cut)" if row.ratio > self.longest else "")

    def note(self):
        better = "longer is better" if self.cell.higher_is_better else "shorter is better"
        return better if self.is_value else f"ratio to {self.cell.reference}, {better}"


def _bars(title, cell, members, top):
    """The lines of one cell."""
    scale = _Scale(cell, members)
    yield _text(12, top + 18, title, "title")
    yield _text(12, top + 34, scale.note(), "note")
    if not scale.is_value and scale.longest >= 1:
        x = LEFT + scale.unit
        yield (f'<line class="line" x1="{x:.0f}" y1="{top + HEAD - 14}" x2="{x:.0f}" '
               f'y2="{top + HEAD + len(members) * STEP - 8}"/>')
    for index, row in enumerate(members):
        y = top + HEAD + index * STEP - 10
        yield _text(LEFT - 8, y + 13, row.contender, anchor="end")
        yield (f'<rect x="{LEFT}" y="{y}" width="{scale.width(row):.0f}" height="{BAR}" '
               f'fill="{_colour(row.contender)}"/>')
        yield _text(LEFT + scale.width(row) + 6, y + 13, scale.label(row))


def picture(table):
    """An SVG of the cells in SHOWN that the table has."""
    body, top = [], 12
    for name, title in SHOWN:
        members = [row for row in table if row.cell.name == name and
                   row.contender not in ("direct", "plain again")]
        if not members:
            continue
        cell = members[0].cell
        members.sort(key=lambda row: row.ratio, reverse=cell.higher_is_better)
        body += _bars(title, cell, members, top)
        top += HEAD + len(members) * STEP + GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>', *body, "</svg>"]) + "\n"
