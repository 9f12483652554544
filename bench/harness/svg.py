"""The picture: for the cells that matter most, a bar per contender, as a ratio to plain."""

from xml.sax.saxutils import escape

SHOWN = ("bulk 1 down", "bulk 8 down", "connections 1", "ping p50", "open loop p99", "idle rss")
WIDTH = 760
LEFT = 190  # where bars begin
RIGHT = 110  # room for the number behind the longest
BAR = 16
STEP = 22
HEAD = 46
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


def _bars(cell, members, top):
    """Lines of one cell, and where it ends. A bar over twice the middle ones is cut."""
    longest = min(max(row.ratio for row in members), 3.0)
    scale = (WIDTH - LEFT - RIGHT) / longest
    better = "longer is better" if cell.higher_is_better else "shorter is better"
    yield _text(12, top + 18, cell.name, "title")
    yield _text(LEFT, top + 18, f"ratio to {cell.reference}, {better}", "note")
    bottom = top + HEAD + len(members) * STEP
    if longest >= 1:
        x = LEFT + scale
        yield (f'<line class="line" x1="{x:.0f}" y1="{top + HEAD - 14}" x2="{x:.0f}" '
               f'y2="{bottom}"/>')
    for index, row in enumerate(members):
        y = top + HEAD + index * STEP - 10
        width = max(1, min(row.ratio, longest) * scale)
        yield _text(LEFT - 8, y + 13, row.contender, anchor="end")
        yield (f'<rect x="{LEFT}" y="{y}" width="{width:.0f}" height="{BAR}" '
               f'fill="{_colour(row.contender)}"/>')
        cut = " (bar cut)" if row.ratio > longest else ""
        yield _text(LEFT + width + 6, y + 13, f"{row.ratio:.2f}{cut}")


def picture(table):
    """An SVG of the cells in SHOWN that the table has."""
    body, top = [], 12
    for name in SHOWN:
        members = [row for row in table if row.cell.name == name and
                   row.contender not in ("direct", "plain again")]
        if not members:
            continue
        cell = members[0].cell
        members.sort(key=lambda row: row.ratio, reverse=cell.higher_is_better)
        body += _bars(cell, members, top)
        top += HEAD + len(members) * STEP + GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>', *body, "</svg>"]) + "\n"
