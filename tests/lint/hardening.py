#!/usr/bin/env python3
"""What the program is linked with, and how it is hardened; reads it with readelf and nm.

Usage: hardening.py [--tally FILE] PROGRAM
"""

import argparse
import re
import subprocess
import sys

# libc and what belongs to it. An OpenSSL, a libgrpc or a libstdc++ among them would be wrong.
LIBRARIES = re.compile(r"(libc\.so\.6|libm\.so\.6|ld-linux[\w.-]*\.so\.\d)$")
FOREIGN = re.compile(r" (SSL|EVP|X509|BIO|CRYPTO|OPENSSL|grpc)_\w+$", re.MULTILINE)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def relro(program):
    return "GNU_RELRO" in output("readelf", "-lW", program)


def bind_now(program):
    return bool(re.search(r"FLAGS.*\b(BIND_NOW|NOW)\b", output("readelf", "-dW", program)))


def position_independent(program):
    header = output("readelf", "-hW", program)
    flags = output("readelf", "-dW", program)
    return bool(re.search(r"Type:\s+DYN", header)) and bool(re.search(r"FLAGS_1.*\bPIE\b", flags))


def no_executable_stack(program):
    match = re.search(r"GNU_STACK\s+(?:\S+\s+){5}(\w+)", output("readelf", "-lW", program))
    return match is not None and "E" not in match.group(1)


def stack_protector(program):
    return "__stack_chk_fail" in output("nm", "-D", program)


def only_libc(program):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-dW", program))
    return all(LIBRARIES.match(name) for name in needed)


def no_tls_symbols(program):
    """libc may load an NSS module with an OpenSSL; it must not find our functions instead."""
    return not FOREIGN.search(output("nm", "-D", "--defined-only", program))


CHECKS = [
    (relro, "relocations are made read-only (RELRO)"),
    (bind_now, "symbols are bound at start (BIND_NOW)"),
    (position_independent, "the program is position independent (PIE)"),
    (no_executable_stack, "the stack is not executable"),
    (stack_protector, "the stack protector is compiled in"),
    (only_libc, "only libc and libm are linked dynamically"),
    (no_tls_symbols, "no symbol of the TLS library is exported"),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tally")
    parser.add_argument("program")
    args = parser.parse_args()
    counts = [0, 0]
    for check, sentence in CHECKS:
        try:
            holds = check(args.program)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{args.program}: {error}")
            holds = False
        counts[not holds] += 1
        if not holds:
            print(f"{args.program}: it is not true that {sentence}")
    print(f"hardening: {counts[0]} properties hold, {counts[1]} do not")
    if args.tally:
        with open(args.tally, "w", encoding="utf-8") as out:
            out.write(f"{counts[0]} {counts[1]} 0\n")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
