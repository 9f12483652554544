"""Pages that promise to be complete: docs/troubleshooting.md has a row for everything that can be
said, and none for what is not said any more; docs/edge-tls.md has one for every feature of the seed
systems, and names a test that exists, or says why there is none."""

import re

from source import read, walk

PAGE = "docs/troubleshooting.md"

# Heading of the page: the table, the macro, which argument is the name, and what is no failure.
TABLES = {
    "Why a connection ended": ("agent/observe/close_reason.def", "CLOSE_REASON", 1, {"open"}),
    "Why a certificate was refused": ("certmgr/verify_result.def", "VERIFY_RESULT", 1, {"ok"}),
    "Why our own identity was refused": ("certmgr/identity_refusal.def", "IDENTITY_REFUSAL", 1,
                                         set()),
    "Why a request was refused": ("agent/http/http_reason.def", "HTTP_REASON", 1, {"none"}),
}
EVENTS = "Lines of the log"
# log_begin(&line, LEVEL, "event"), log_msg(LEVEL, "event", ...), and helpers of the same kind.
EVENT = re.compile(r'\blog_(?!text|u64|i64|bytes|end|time)\w*\([^;"{]*?"([a-z]+(?:_[a-z]+)*)"'
                   r'(?:\s*:\s*"([a-z]+(?:_[a-z]+)*)")?')


def rows(page):
    """heading -> {name: line} of the rows `| \\`name\\` | ...` below it."""
    found, current = {}, {}
    for number, line in enumerate(page.split("\n"), 1):
        heading = re.match(r"## (.*?)(?: \(.*\))?$", line)
        if heading:
            current = found.setdefault(heading.group(1), {})
        for name in re.findall(r"^\| `(\w+)` \|", line):
            current[name] = number
    return found


def names_of(table, macro, argument):
    for row in re.findall(rf"^{macro}\((.*)\)", read(table), re.MULTILINE):
        yield row.split(",")[argument].strip().strip('"')


def events():
    for folder in ("agent", "authority"):
        for path in walk(folder):
            if path.endswith(".c"):
                for match in EVENT.finditer(read(path)):
                    yield from (name for name in match.groups() if name)


def compare(heading, wanted, there):
    for name in sorted(wanted - set(there)):
        yield PAGE, 1, f'"{heading}" has no row for `{name}`'
    for name in sorted(set(there) - wanted):
        yield PAGE, there[name], f"nothing says `{name}` any more"


def troubleshooting_is_complete(_):
    found = rows(read(PAGE))
    for heading, (table, macro, argument, fine) in TABLES.items():
        wanted = set(names_of(table, macro, argument)) - fine
        yield from compare(heading, wanted, found.get(heading, {}))
    yield from compare(EVENTS, set(events()), found.get(EVENTS, {}))


EDGE_PAGE = "docs/edge-tls.md"
# How many features of each system there are: Azure Spring Cloud, API7 and APISIX, Redis Enterprise.
FEATURES = {"AZ": 27, "AP": 41, "RE": 37}
# `tests/e2e/test_x.py::test_y`, `tests/x/y_test.c`, `tests/x/y_test.c::test_z`
TEST = re.compile(r"`(tests/[\w/]+\.(?:py|c))(?:::(\w+))?`")


def text_of(path):
    try:
        return read(path)
    except FileNotFoundError:
        return ""


def tests_are_there(_):
    for path in walk("docs"):
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(read(path).split("\n"), 1):
            for where, name in TEST.findall(line):
                text = text_of(where)
                if not text or (name and not re.search(rf"\b{name}\(", text)):
                    yield path, number, f"there is no test {where}" + (f"::{name}" if name else "")


def features_are_complete(_):
    seen = {}
    for number, line in enumerate(read(EDGE_PAGE).split("\n"), 1):
        row = re.match(r"\| ((?:AZ|AP|RE)\d+) \|.*\| ([^|]*) \|$", line)
        if row is None:
            continue
        if row.group(1) in seen:
            yield EDGE_PAGE, number, f"{row.group(1)} is there twice"
        seen[row.group(1)] = number
        if not TEST.search(row.group(2)) and not row.group(2).startswith(("out: ", "not yet: ")):
            yield EDGE_PAGE, number, f"{row.group(1)} has neither a test nor a reason"
    for system, count in FEATURES.items():
        for feature in (f"{system}{i}" for i in range(1, count + 1)):
            if feature not in seen:
                yield EDGE_PAGE, 1, f"no row for {feature}"


# Of other projects.
FOREIGN_PAGES = {"doc/statuscodes.md"}


def cited_pages_are_there(files):
    """A comment that sends its reader to a page of this tree."""
    for file in files:
        for line, match in file.matches(r"//[^\n]*?\b([\w./-]+\.md)\b", file.raw):
            page = match.group(1)
            if page not in FOREIGN_PAGES and not text_of(page):
                yield file.path, line, f"there is no {page}"


CHECKS = [troubleshooting_is_complete, tests_are_there, features_are_complete,
          cited_pages_are_there]
