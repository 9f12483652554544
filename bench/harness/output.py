"""Where results go: standard output, bench/results.md, a picture, and every round as JSON."""

import json
import time

from . import machine, plan as plans, report, svg, tables


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


def page(run, table, judged, took_s):
    yield "# Benchmark results"
    yield ""
    yield "This page is written by `./dev bench`; docs/performance.md says how it is measured."
    yield ""
    yield place(run, took_s)
    yield ""
    yield "A place holds the median of the values, the **median of the rounds' own ratios**, and"
    yield "its 95 % interval; `=` marks what two pairs of the plain relay differ by, too."
    yield ""
    yield "![Ratios to the plain relay](results.svg)"
    yield ""
    yield "## Targets"
    yield ""
    yield from tables.target_markdown(judged)
    yield ""
    yield "## Cells"
    yield ""
    yield from tables.markdown(table)
    yield "## Notes"
    yield ""
    yield from (f"- {line}" for line in notes(run.results))


def notes(results):
    yield from results.notes
    for what, why in results.skipped:
        yield f"not measured: {what}: {why}"


def keep(run, table, judged, took_s):
    """The page and the picture are of a run of everything; the rounds are kept of any that
    measured."""
    if run.plan is plans.SMOKE:
        return
    plans.RESULTS.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    everything = {"machine": machine.describe(), "plan": run.plan.name,
                  "values": run.results.values, "notes": run.results.notes,
                  **report.as_json(table, judged, run.results.skipped)}
    (plans.RESULTS / f"{stamp}.json").write_text(json.dumps(everything, indent=1) + "\n",
                                                 encoding="utf-8")
    if run.args.cells or run.args.families is not None:
        return
    text_ = "\n".join(page(run, table, judged, took_s)).rstrip() + "\n"
    (plans.RESULTS.parent / "results.md").write_text(text_, encoding="utf-8")
    (plans.RESULTS.parent / "results.svg").write_text(svg.picture(table), encoding="utf-8")
