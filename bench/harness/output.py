"""Where results go: standard output, bench/results.md, a picture, and every round as JSON."""

import json
import time

from . import machine, plan as plans, report, svg, tables

DOCUMENT = plans.ROOT / "docs" / "performance.md"
BEGIN = "<!-- written by ./dev bench --publish: begin -->\n"
END = "<!-- written by ./dev bench --publish: end -->\n"


def machine_text():
    where = machine.describe()
    return (f"{where['cpu']}, {where['cpus']} CPUs ({', '.join(where['flags'])}), Linux "
            f"{where['kernel']}")


def place(run, took_s):
    shared = "" if machine.describe()["cpus"] > 1 else " Everything shared one CPU."
    return (f"{machine_text()}; plan \"{run.plan.name}\": {run.plan.rounds} rounds of "
            f"{run.plan.cell_s:g} s a cell, in {took_s:.0f} s.{shared}")


def text(run, table, judged, took_s):
    yield place(run, took_s)
    yield ""
    yield from tables.text(table)
    yield from tables.target_text(judged)
    yield ""
    yield from notes(run.results)


def body(run, table, judged, took_s, picture):
    """What the page and docs/performance.md have in common: headings of the third level."""
    yield place(run, took_s)
    yield ""
    yield "A place holds the median of the values, the **median of the rounds' own ratios**, and"
    yield "its 95 % interval; `=` marks what two pairs of the plain relay differ by, too."
    yield ""
    yield f"![Ratios to the plain relay]({picture})"
    yield ""
    yield "### Targets"
    yield ""
    yield from tables.target_markdown(judged)
    yield ""
    yield from tables.markdown(table)
    yield "### Notes of the run"
    yield ""
    yield from (f"- {line}" for line in notes(run.results))


def page(*result):
    yield "# Benchmark results"
    yield ""
    yield "This page is written by `./dev bench`; docs/performance.md says how it is measured."
    yield ""
    yield "## The last run of everything"
    yield ""
    yield from body(*result, "results.svg")


def published(text_, *result):
    """`text_`, the page for people, with this result between its marks."""
    before, begin, rest = text_.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN.strip()} and {END.strip()} in {DOCUMENT}")
    return before + begin + "\n".join(body(*result, "../bench/results.svg")) + "\n" + end + after


def notes(results):
    yield from results.notes
    for what, why in results.skipped:
        yield f"not measured: {what}: {why}"


def keep(run, *result):
    """The pages and the picture are of a run of everything; the rounds are kept of any that
    measured. `result`: rows, verdicts, seconds."""
    if run.plan is plans.SMOKE:
        return
    table, judged, _ = result
    plans.RESULTS.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    everything = {"machine": machine.describe(), "plan": run.plan.name,
                  "values": run.results.values, "notes": run.results.notes,
                  **report.as_json(table, judged, run.results.skipped)}
    _write(plans.RESULTS / f"{stamp}.json", json.dumps(everything, indent=1))
    if run.args.cells or run.args.families is not None:
        return
    _write(plans.RESULTS.parent / "results.md", "\n".join(page(run, *result)))
    _write(plans.RESULTS.parent / "results.svg", svg.picture(table))
    if run.args.publish:
        _write(DOCUMENT, published(DOCUMENT.read_text(encoding="utf-8"), run, *result))


def _write(path, text_):
    path.write_text(text_.rstrip() + "\n", encoding="utf-8")
