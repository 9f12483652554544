#!/usr/bin/env python3
"""Counts what the steps of `./dev test` ran, and adds it up.

  tally.py bazel LOG TESTLOGS OUT   cases in the logs of the tests that `bazel test` lists in LOG
  tally.py junit XML OUT            cases in pytest's report
  tally.py sum FOLDER               prints the sum of all OUT files of FOLDER; fails if any failed

An OUT file holds "PASSED FAILED SKIPPED". Failed and skipped cases are named on standard output.
"""

import os
import re
import sys
import xml.etree.ElementTree

SUMMARY = re.compile(r"^(//\S+)\s+(?:\(cached\) )?(PASSED|FAILED|TIMEOUT|NO STATUS|FAILED TO BUILD|"
                     r"INCOMPLETE|FLAKY|REMOTE FAILURE)\b", re.MULTILINE)
CASES = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] +(\S.*?)\s*$", re.MULTILINE)
KINDS = ("PASSED", "FAILED", "SKIPPED")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def cmocka_cases(text):
    """(number per kind, names) of a test program's log; a program may run several groups."""
    counts = dict.fromkeys(KINDS, 0)
    names = []
    for kind, rest in CASES.findall(text):
        total = re.match(r"(\d+) test\(s\)", rest)
        if total:
            counts[kind] += int(total.group(1))
        else:
            names.append((kind, rest))
    return counts, names


def count_bazel(log, testlogs):
    total = dict.fromkeys(KINDS, 0)
    targets = dict(SUMMARY.findall(read(log)))
    if not targets:
        print("FAILED: bazel ran no test")
        total["FAILED"] = 1
    for target, status in sorted(targets.items()):
        path = os.path.join(testlogs, target[2:].replace(":", "/"), "test.log")
        counts, names = cmocka_cases(read(path) if os.path.exists(path) else "")
        if status != "PASSED" and counts["FAILED"] == 0:
            print(f"FAILED: {target} ({status})")
            counts = {**counts, "FAILED": 1}
        elif sum(counts.values()) == 0:
            counts["PASSED"] = 1  # a program that is one case, like the replay of a corpus
        for kind, name in sorted(set(names)):
            if kind != "PASSED":
                print(f"{kind}: {target} {name}")
        for kind in KINDS:
            total[kind] += counts[kind]
    return total


def count_junit(path):
    total = dict.fromkeys(KINDS, 0)
    if not os.path.exists(path):
        print("FAILED: pytest did not run")
        return {**total, "FAILED": 1}
    cases = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        kind = "PASSED"
        if case.find("failure") is not None or case.find("error") is not None:
            kind = "FAILED"
        elif case.find("skipped") is not None:
            kind = "SKIPPED"
            name += ": " + (case.find("skipped").get("message") or "")
        if cases.get(name) != "FAILED":  # a failure and a failing clean-up are one case
            cases[name] = kind
    for name, kind in cases.items():
        if kind != "PASSED":
            print(f"{kind}: {name}")
        total[kind] += 1
    if sum(total.values()) == 0:
        print("FAILED: pytest found no test")
        total["FAILED"] = 1
    return total


def write(path, total):
    with open(path, "w", encoding="utf-8") as out:
        out.write(" ".join(str(total[kind]) for kind in KINDS) + "\n")
    print(f"{os.path.basename(path)}: " +
          ", ".join(f"{kind.lower()} {total[kind]}" for kind in KINDS))


def add_up(folder):
    total = [0, 0, 0]
    for name in sorted(os.listdir(folder)):
        if "." not in name:
            total = [a + int(b) for a, b in zip(total, read(os.path.join(folder, name)).split())]
    print(f"\n{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


def main(args):
    if len(args) == 4 and args[0] == "bazel":
        write(args[3], count_bazel(args[1], args[2]))
    elif len(args) == 3 and args[0] == "junit":
        write(args[2], count_junit(args[1]))
    elif len(args) == 2 and args[0] == "sum":
        return add_up(args[1])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
