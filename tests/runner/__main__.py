# SPDX-License-Identifier: MIT
"""Runs Weir's tests in stages and sums them up: the program behind tests/run."""

import argparse
import fcntl
import os
import pathlib
import sys
import time

import build
import stages
from report import StageResult, print_summary

EPILOG = """\
examples:
  tests/run                              everything
  tests/run --suite unit --test reader   the unit tests whose file name contains "reader"
  tests/run --suite e2e --test reload    pytest -k reload
  tests/run --sanitize thread            unit and e2e, built with ThreadSanitizer
"""


def parse_arguments(available):
    parser = argparse.ArgumentParser(
        prog="tests/run",
        description="Builds Weir and runs its tests; ends with the line «N passed, N failed».",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="list the suites and end")
    parser.add_argument("--suite", action="append", metavar="NAME", choices=list(available),
                        help="run this suite only; may be repeated")
    parser.add_argument("--test", metavar="PATTERN",
                        help="only tests that match: a part of a unit test's file name or of a "
                        "module test's path; pytest's -k for e2e")
    parser.add_argument("--sanitize", metavar="LIST", type=sanitizers,
                        help="run unit and e2e (or --suite) built with these sanitizers: address, "
                        "undefined, address,undefined or thread")
    parser.add_argument("--keep-going", action="store_true",
                        help="go on with the next suite after one has failed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N",
                        help="compilers at once (default: the CPUs); end-to-end tests, which mostly "
                             "wait, run half as many again")
    parser.add_argument("--work", type=pathlib.Path, metavar="DIR",
                        help="build here instead of tests/.run")
    parser.add_argument("--verbose", action="store_true", help="show all output as it comes")
    return parser.parse_args()


def sanitizers(text):
    names = text.split(",")
    unknown = [name for name in names if name not in ("address", "undefined", "thread")]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown sanitizer {unknown[0]!r}; there are address, "
                                         "undefined and thread")
    if "thread" in names and len(names) > 1:
        raise argparse.ArgumentTypeError("thread goes with no other sanitizer")
    return text


def chosen_suites(args, available):
    """The suites to run, and whether each of them has to have run a test."""
    if args.suite:
        return list(dict.fromkeys(args.suite)), True
    if args.sanitize or args.test:
        return ["unit", "e2e"], not args.test
    return list(available), True


def lock(work):
    """Two runs in one folder would spoil each other's build: the second one is refused."""
    work.mkdir(parents=True, exist_ok=True)
    handle = open(work / "lock", "w", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"tests/run: another run is using {work}; wait for it, or give --work DIR")
    return handle


def run_stages(context, names, each_must_run):
    results = []
    for name in names:
        print(f"== {name}", flush=True)
        started = time.monotonic()
        result = StageResult(name)
        try:
            stages.available(context.source)[name](context, result)
        except build.CommandFailed as error:
            result.add_failure(f"{name}: {error}")
        if each_must_run and result.total() == 0:
            result.add_failure(f"{name}: no test ran")
        result.seconds = time.monotonic() - started
        results.append(result)
        print(f"   {result.line()}", flush=True)
        if result.failed and not context.keep_going:
            break
    if not each_must_run and sum(result.total() for result in results) == 0:
        results[-1].add_failure("no test matches the pattern")
    return results


def main():
    source = pathlib.Path(__file__).resolve().parent.parent.parent
    available = stages.available(source)
    args = parse_arguments(available)
    if args.list:
        for name, stage in available.items():
            print(f"{name:10}{stage.__doc__.splitlines()[0]}")
        return 0
    names, each_must_run = chosen_suites(args, available)
    work = (args.work or source / "tests" / ".run").resolve()
    held = lock(work)
    context = build.Context(source=source, work=work, jobs=max(1, args.jobs), pattern=args.test,
                            sanitize=args.sanitize, keep_going=args.keep_going,
                            verbose=args.verbose)
    results = run_stages(context, names, each_must_run)
    held.close()
    skipped = names[len(results):]
    return print_summary(results, skipped)


if __name__ == "__main__":
    sys.exit(main())
