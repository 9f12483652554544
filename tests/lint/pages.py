"""Pages that promise to be complete: docs/troubleshooting.md has a row for everything that can be
said, and none for what is not said any more."""

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


CHECKS = [troubleshooting_is_complete]
