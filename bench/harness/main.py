"""The command line of `./dev bench`, and the course of a run."""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import resource
import sys
import tempfile
import time

from . import (dialling, edges, fresh, load, machine, output, plan as plans, proof, report, rounds,
               scale, targets)
from .cells import LOADS
from .pair import NotMeasured, Pair
from .peers import ALL
from .recipe import Bench, Tools
from .rounds import Results, say

FRESH = "fresh"  # the cells of sidecars that have just been started


def arguments(argv):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--scale", action="store_true",
                        help="Pavise alone: more workers, many connections; no other cell")
    parser.add_argument("--smoke", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peers", metavar="LIST",
                        help="of the others, only these: " +
                        ",".join(sorted({recipe.family for recipe in ALL if recipe.is_peer})))
    parser.add_argument("--publish", action="store_true",
                        help="put the result of everything into docs/performance.md, too")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--tools", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("cells", nargs="*", metavar="CELL",
                        help="only these, and what is measured with them: " +
                        ", ".join(load_names()))
    args = parser.parse_args(argv)
    unknown = [name for name in args.cells if load_of(name) is None]
    if unknown:
        parser.error(f"no cell {unknown[0]!r}; there are: {', '.join(load_names())}")
    args.cells = [load_of(name) for name in args.cells]
    args.families = args.peers.split(",") if args.peers is not None else None
    known = {recipe.family for recipe in ALL} | {""}
    unknown = [name for name in args.families or [] if name not in known]
    if unknown:
        parser.error(f"no peer {unknown[0]!r}")
    if args.publish and (args.cells or args.peers is not None):
        parser.error("--publish is for a run of everything")
    return args


def load_names():
    return [FRESH] + [each.name for each in (*edges.LOADS, *LOADS)]


def load_of(name):
    """The name of the load that gives the cell, or is called so; None when there is none."""
    if name in load_names():
        return name
    if name in [cell.name for cell in fresh.CELLS + dialling.CELLS]:
        return FRESH
    return next((each.name for each in (*edges.LOADS, *LOADS)
                 if name in [cell.name for cell in each.cells]), None)


def chosen(args, results):
    """The recipes to measure; what is left out is named."""
    for recipe in ALL:
        if recipe.is_peer and args.families is not None and recipe.family not in args.families:
            continue
        why = recipe.missing()
        if why:
            results.skip(recipe.name, why)
        else:
            yield recipe


def plan_of(args):
    return plans.SMOKE if args.smoke else plans.QUICK if args.quick else plans.FULL


def tools_of(build):
    """The programs of a build; ends with a sentence when it lacks one."""
    tools = Tools(build / "agent/pavise", build / "bench/load/load", build / "bench/load/relay",
                  build / "bench/load/handshake", build / "bench/load/tls_server")
    for path in dataclasses.astuple(tools):
        if not os.access(path, os.X_OK):
            sys.exit(f"bench: there is no program {path}; ./dev bench builds it")
    return tools


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Run:
    """One run, step by step."""

    def __init__(self, args, directory, tools):
        self.args = args
        self.plan = plan_of(args)
        self.results = Results()
        self.bench = Bench(directory, tools)
        self.runner = rounds.Runner(self.bench, self.plan, self.results)
        # All of them call a TLS server; most are whole, with an inside of their own.
        self.callers = list(chosen(args, self.results))
        self.recipes = [recipe for recipe in self.callers if self.is_whole(recipe)]
        self.ports = {recipe.name: plans.FIRST_PORT + index * plans.PORTS_EACH
                      for index, recipe in enumerate(ALL)}
        self.cells = []

    def is_whole(self, recipe):
        why = recipe.missing_inside(self.bench)
        if why:
            self.results.skip(recipe.name, why)
        return why is None

    def wanted(self, name):
        return not self.args.cells or name in self.args.cells

    def prove(self):
        """Drops every contender that is not what it says."""
        say("proving the contenders")
        for recipe in list(self.recipes):
            if not recipe.tls:
                continue
            try:
                proof.prove(self.bench, recipe, self.ports[recipe.name])
            except NotMeasured as reason:
                self.results.skip(recipe.name, f"not proven: {reason}")
                self.recipes.remove(recipe)
                self.callers.remove(recipe)

    def measure_fresh(self):
        """Starts and memory: before any bulk transfer."""
        if not self.wanted(FRESH):
            return
        self.cells += fresh.CELLS + dialling.CELLS
        chance = random.Random("fresh")
        with fresh.Authority(self.bench) as authority:
            recipes = [recipe for recipe in self.callers if recipe.name != "direct"]
            for number in range(self.plan.starts):
                say(f"fresh: start {number + 1} of {self.plan.starts}")
                for recipe in chance.sample(recipes, len(recipes)):
                    if not self.measure_start(recipe, number, authority):
                        recipes.remove(recipe)

    def measure_start(self, recipe, number, authority):
        """False when it failed, and nothing more is to be tried."""
        port = self.ports[recipe.name]
        try:
            if recipe in self.recipes:
                self.results.add(recipe.name, number, fresh.measure(
                    self.bench, fresh.as_deployed(recipe, authority), port, self.plan,
                    with_memory=number == 0))
            self.results.add(recipe.name, number,
                             dialling.measure(self.bench, recipe, port, self.plan))
        except NotMeasured as reason:
            self.results.skip(f"fresh cells of {recipe.name}", str(reason))
            return False
        return True

    def measure_edges(self):
        """TLS of each connection by a sidecar of its own."""
        for each in edges.LOADS:
            if not self.wanted(each.name):
                continue
            self.cells += each.cells
            sides = [edges.Side(self.bench, recipe, self.ports[recipe.name])
                     for recipe in self.callers]
            try:
                with each.application(self.bench) as application:
                    members = [side for side in sides if self.is_started(side, each.name)]
                    say(f"{each.name}: {self.plan.rounds} rounds of {len(members)} contenders")
                    self.runner.run(each, members, application)
            finally:
                for side in sides:
                    side.stop()

    def is_started(self, side, name):
        try:
            return side.start_for(name)
        except NotMeasured as reason:
            self.results.skip(f"{name} of {side.name}", str(reason))
            return False

    def measure_loads(self):
        pairs = [Pair(self.bench, recipe, self.ports[recipe.name]) for recipe in self.recipes]
        try:
            running = self.start_all(pairs)
            for each in LOADS:
                if self.wanted(each.name):
                    self.measure_load(each, running)
        finally:
            for pair in pairs:
                pair.stop()

    def measure_load(self, each, running):
        members = [pair for pair in running if pair.recipe.tls or not each.tls_only]
        say(f"{each.name}: {self.plan.rounds} rounds of {len(members)} contenders")
        self.cells += each.cells
        start = each.application or (lambda _: contextlib.nullcontext())
        with start(self.bench) as application:
            self.runner.run(each, members, application)

    def start_all(self, pairs):
        running = []
        with load.echo(self.bench):
            for pair in pairs:
                try:
                    if pair.recipe.name == "direct":
                        pair.entry = plans.APP
                    else:
                        pair.start()
                    running.append(pair)
                except NotMeasured as reason:
                    self.results.skip(pair.name, str(reason))
        return running

    def targets(self):
        """Those that the command line, or this CPU, did not rule out."""
        measured = {cell.name for cell in self.cells}
        ruled_out = {}
        for target in targets.ALL:
            if not set(target.cells) <= measured:
                why = "their cells were not asked for"
            elif not self.has_asked_for(target.needs):
                why = f"{target.needs} was not asked for"
            elif target.needs_vaes and not machine.has_vaes():
                why = "this CPU has no VAES"
            else:
                yield target
                continue
            ruled_out.setdefault(why, []).append(target.name)
        for why, names in ruled_out.items():
            self.results.skip(f"targets ({'; '.join(names)})", why)

    def has_asked_for(self, peer):
        """`peer`: a name, targets.ANY_PEER, or "" for none. One that was asked for and is missing
        makes a target that could not be measured."""
        families = self.args.families
        if not peer or families is None:
            return True
        return peer in families if peer != targets.ANY_PEER else families != [""]

    def finish(self):
        peers = [recipe.name for recipe in self.recipes if recipe.is_peer]
        table = list(report.rows(self.results, self.cells,
                                 [recipe.name for recipe in self.callers]))
        judged = report.verdicts(self.results, list(self.targets()), peers)
        return table, judged


def main(argv):
    args = arguments(argv)
    tools = tools_of(args.tools)
    raise_descriptor_limit()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pavise-bench-") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        if args.scale:
            print(scale.run(Bench(directory, tools), plan_of(args), output.machine_text()))
            return 0
        run = Run(args, directory, tools)
        run.prove()
        run.measure_fresh()
        run.measure_edges()
        run.measure_loads()
        table, judged = run.finish()
        took_s = time.monotonic() - begun
        output.keep(run, table, judged, took_s)
    if args.output == "json":
        print(json.dumps(report.as_json(table, judged, run.results.skipped)))
    else:
        print("\n".join(output.text(run, table, judged, took_s)))
    return 1 if any(verdict.met is None for verdict in judged) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
