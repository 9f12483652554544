"""The results as tables: Markdown for the page, plain columns for the terminal."""


def number(value):
    """Three digits that matter, and no exponent."""
    if value == 0:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def is_equal(row, noise):
    """Inside what two runs of plain differ by."""
    return noise is not None and row.contender != "plain" and \
        noise.low <= row.ratio <= noise.high


class Group:
    """The cells that stand in one table: contenders below, cells beside each other."""

    def __init__(self, title, rows):
        self.title = title
        self.cells = list(dict.fromkeys(row.cell for row in rows))
        self.contenders = list(dict.fromkeys(row.contender for row in rows))
        self._rows = {(row.contender, row.cell): row for row in rows}

    def places(self, contender, render):
        """`render(row, is equal to plain)` for each cell, "-" where nothing was measured."""
        for cell in self.cells:
            row = self._rows.get((contender, cell))
            noise = self._rows.get(("plain again", cell))
            yield render(row, is_equal(row, noise)) if row else "-"


def groups(table):
    by_title = {}
    for row in table:
        by_title.setdefault(row.cell.group, []).append(row)
    return [Group(title, rows) for title, rows in by_title.items()]


def arrow(cell):
    return "more is better" if cell.higher_is_better else "less is better"


def against(group):
    references = dict.fromkeys(cell.reference for cell in group.cells)
    return f"ratios to {' and '.join(references)}"


def markdown(table):
    def render(row, equal):
        mark = " =" if equal else ""
        return (f"{number(row.value * row.cell.scale)} · **{row.ratio:.2f}**{mark} "
                f"({row.low:.2f} to {row.high:.2f})")

    for group in groups(table):
        yield f"### {group.title}, {against(group)}"
        yield ""
        yield "| | " + " | ".join(f"{cell.name} ({cell.unit}, {arrow(cell)})"
                                  for cell in group.cells) + " |"
        yield "|---|" + "---|" * len(group.cells)
        for contender in group.contenders:
            yield f"| {contender} | " + " | ".join(group.places(contender, render)) + " |"
        yield ""


def text(table):
    def render(row, equal):
        return f"{number(row.value * row.cell.scale)}  {row.ratio:.2f}{'=' if equal else ' '}"

    for group in groups(table):
        left = max(map(len, group.contenders))
        widths = [max(len(cell.name), len(cell.unit), 14) for cell in group.cells]
        yield f"{group.title}: value and {against(group)}"
        yield " " * left + _columns((cell.name for cell in group.cells), widths)
        yield " " * left + _columns((cell.unit for cell in group.cells), widths)
        for contender in group.contenders:
            yield contender.ljust(left) + _columns(group.places(contender, render), widths)
        yield ""


def _columns(words, widths):
    return "".join("  " + word.rjust(width) for word, width in zip(words, widths)).rstrip()


def _verdict(verdict):
    value = "-" if verdict.value is None else f"{verdict.value:.2f}"
    word = {True: "met", False: "missed", None: "not measured"}[verdict.met]
    return verdict.target.name, verdict.target.text, value, word


def target_markdown(judged):
    yield "| target | wanted | measured | |"
    yield "|---|---|---|---|"
    for verdict in judged:
        yield "| " + " | ".join(_verdict(verdict)) + " |"


def target_text(judged):
    for verdict in judged:
        name, wanted, value, word = _verdict(verdict)
        yield f"{word:12}  {value:>7}  wanted {wanted:8}  {name}"
