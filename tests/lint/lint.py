#!/usr/bin/env python3
"""Checks the rules of the project that a program can check: `file:line: sentence` for each breach.

Usage: lint.py [--tally FILE] [NAME...]; without names, every check. FILE gets "PASSED FAILED 0".
"""

import argparse
import ast
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import budgets  # noqa: E402
import layers  # noqa: E402
import pages  # noqa: E402
import tree  # noqa: E402
from source import ROOT, c_files  # noqa: E402


def clang_format(files):
    paths = [file.path for file in files if file.path.endswith((".c", ".h"))]
    run = subprocess.run(["clang-format-14", "--dry-run", "--Werror", *paths], cwd=ROOT,
                         stderr=subprocess.PIPE, text=True, check=False)
    places = re.findall(r"^(\S+?):(\d+):\d+: error:", run.stderr, re.MULTILINE)
    if run.returncode != 0 and not places:
        yield "clang-format-14", 1, run.stderr.strip()
    for path, line in sorted({path: line for path, line in reversed(places)}.items()):
        yield path, int(line), "not formatted; run clang-format-14 -i on it"


def unused_imports(module):
    """(line, name) of each import of the module that it does not use."""
    imports = {(alias.asname or alias.name).partition(".")[0]: node.lineno
               for node in ast.walk(module) if isinstance(node, (ast.Import, ast.ImportFrom))
               for alias in node.names}
    used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    return [(line, name) for name, line in imports.items() if name not in used]


def python(_):
    for path in tree.walk():
        if path.endswith(".py"):
            try:
                module = ast.parse(tree.read(path), path)
            except SyntaxError as error:
                yield path, error.lineno or 1, f"not Python: {error.msg}"
                continue
            for line, name in unused_imports(module):
                yield path, line, f"{name} is imported and not used"


CHECKS = ([clang_format, python] + budgets.CHECKS + layers.CHECKS + tree.CHECKS +
          pages.CHECKS)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tally")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    files = c_files()
    counts = [0, 0]
    for check in CHECKS:
        if args.names and check.__name__ not in args.names:
            continue
        breaches = sorted(set(check(files)))
        for path, line, sentence in breaches:
            print(f"{path}:{line}: {sentence} [{check.__name__}]")
        counts[bool(breaches)] += 1
    print(f"lint: {counts[0]} rules hold, {counts[1]} broken")
    if args.tally:
        with open(args.tally, "w", encoding="utf-8") as out:
            out.write(f"{counts[0]} {counts[1]} 0\n")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
