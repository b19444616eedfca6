# SPDX-License-Identifier: MIT
"""The stages of a test run. Each takes the context and a result, and adds its tests to it."""

import functools
import os
import pathlib
import shutil
import tempfile

import lint
from build import CommandFailed, ready_build
from report import check_reports, read_automake_results, read_junit

FUZZ_SECONDS = "36"
SOAK_SECONDS = "25"
# Tests of what one worker does with one connection, or of programs of one thread: ThreadSanitizer learns nothing from
# them.
ONE_THREAD = ("bad_requests", "bad_responses", "bench_balance", "bodies", "check", "compress", "cxx", "forwarding",
              "h2_attacks", "h2_conformance", "h2_hostile_servers", "h2_malformed", "h2_pairs", "h2_places",
              "h2_shared", "headers", "module_check", "module_new", "proxy_protocol", "rust", "smuggling", "timeouts",
              "weirsim")
# A log is not longer; what is, is a body that a test sent.
LOG_BYTES = 8 << 20


def run_lint(context, result):
    """formatting, include walls, licence lines"""
    for check in lint.CHECKS:
        findings = list(check(context.source))
        if context.pattern and context.pattern not in check.__name__:
            continue
        if findings:
            shown = "".join(f"\n      {finding}" for finding in findings[:40])
            result.add_failure(f"{check.__doc__}: {len(findings)} findings{shown}")
        else:
            result.passed += 1


def run_unit(context, result, sanitize=None):
    """Check programs of tests/unit and the modules (make check)"""
    sanitize = sanitize or context.sanitize
    folder = ready_build(context, sanitize)
    for stale in [*check_reports(folder, ".trs"), *check_reports(folder, ".xml")]:
        stale.unlink()
    with sanitizer_reports(context, sanitize, "unit", result) as env:
        if context.pattern:
            env["WEIR_TEST_MATCH"] = context.pattern
        code = context.run(["make", f"-j{context.jobs}", "-k", "check", "VERBOSE=1"],
                           f"unit-{sanitize or 'plain'}", cwd=folder, env=env, check=False)
    before = result.failed
    read_automake_results(folder, result)
    if code != 0 and result.failed == before:
        result.add_failure("make check failed before its tests; see above")


def run_e2e(context, result, sanitize=None):
    """the program from outside (pytest in tests/e2e)"""
    sanitize = sanitize or context.sanitize
    folder = ready_build(context, sanitize)
    tests = context.source / "tests" / "e2e"
    if not tests.is_dir():
        return
    report = context.work / f"e2e-{sanitize or 'plain'}.xml"
    report.unlink(missing_ok=True)
    # Short, because Unix sockets are made in it.
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="weir-"))
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no",
               f"--basetemp={scratch}/t", f"--junitxml={report}", str(tests)]
    if context.jobs > 1:
        # They mostly wait: for records to grow old, probes to come, slow peers to be cut off. Where times are judged,
        # which sanitizers forbid, they had better not wait for a processor.
        many = 2 * context.jobs if sanitize else context.jobs + context.jobs // 2
        command += ["-n", str(many), "--dist", "loadfile"]
    if context.pattern:
        command += ["-k", context.pattern]
    if sanitize == "thread":
        command += [f"--ignore={tests}/test_{name}.py" for name in ONE_THREAD]
    with sanitizer_reports(context, sanitize, "e2e", result) as env:
        env.update(program_environment(context, folder, sanitize))
        code = context.run(command, f"e2e-{sanitize or 'plain'}", cwd=context.source, env=env,
                           check=False)
    if sanitize:
        find_runtime_errors(scratch, result)
    shutil.rmtree(scratch, ignore_errors=True)
    before = result.failed
    read_junit(report, result)
    # 5: no test was collected, which the caller judges.
    if code not in (0, 5) and result.failed == before:
        result.add_failure(f"pytest failed ({code}); see above")


def find_runtime_errors(folder, result):
    """Adds UBSan's findings from the logs that the tests left.

    gcc's UBSan writes to standard error, whatever its log_path says, when ASan is there as well.
    """
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.stat().st_size > LOG_BYTES:
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if ": runtime error: " in line:
                result.add_failure(f"{path.relative_to(folder)}: {line}")


def run_sanitized(sanitize, context, result):
    """unit and e2e again, in a build with sanitizers"""
    run_unit(context, result, sanitize)
    if not result.failed or context.keep_going:
        run_e2e(context, result, sanitize)


def run_dist(context, result):
    """make distcheck, make install, make installcheck"""
    folder = ready_build(context, None)
    installed = folder / "installed"
    shutil.rmtree(installed, ignore_errors=True)
    make = ["make", f"-j{context.jobs}"]
    steps = (("distcheck", [*make, "distcheck"]), ("install", [*make, "install"]),
             ("installcheck", ["make", "installcheck"]))
    for name, command in steps:
        if context.pattern and context.pattern not in name:
            continue
        try:
            context.run(command, f"dist-{name}", cwd=folder)
            result.passed += 1
        except CommandFailed as error:
            result.add_failure(f"{name}: {error}")


def run_script(name, options, builds_itself, context, result):
    """a folder's own runner, which writes a JUnit report to $WEIR_REPORT"""
    folder = context.work if builds_itself else ready_build(context, None)
    report = context.work / f"{name}.xml"
    report.unlink(missing_ok=True)
    env = {**os.environ, **program_environment(context, folder, None), "WEIR_REPORT": str(report)}
    command = [context.source / "tests" / name / "run", *options]
    if context.pattern:
        command += ["--test", context.pattern]
    code = context.run(command, name, cwd=context.source, env=env, check=False)
    before = result.failed
    read_junit(report, result)
    if code != 0 and result.failed == before:
        result.add_failure(f"tests/{name}/run failed ({code}); see above")


def program_environment(context, folder, sanitize):
    """What tests from outside know of the build."""
    return {
        "WEIR_BIN": str(folder / "weir"),
        "WEIR_BUILD": str(folder),
        "WEIR_MODULE_DIR": str(folder / "modules" / "built"),
        "WEIR_SANITIZE": sanitize or "",
        "WEIR_SRCDIR": str(context.source),
    }


class sanitizer_reports:
    """Sends sanitizers' reports to files, and makes each of them a failure of the result.

    The environment is the same without a sanitizer, but for the variables that nobody reads then.
    """

    def __init__(self, context, sanitize, name, result):
        self.folder = context.work / f"reports-{name}-{(sanitize or 'plain').replace(',', '-')}"
        self.suppressions = context.source / "tests" / "suppressions"
        self.result = result

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        # A weir that has dropped its privileges reports too.
        self.folder.chmod(0o1777)
        common = f"log_path={self.folder}/report:exitcode=99"
        env = dict(os.environ)
        # A small quarantine: tests look at the memory that weir holds.
        env["ASAN_OPTIONS"] = f"{common}:detect_leaks=1:detect_stack_use_after_return=1:" \
            "strict_string_checks=1:check_initialization_order=1:quarantine_size_mb=16"
        env["UBSAN_OPTIONS"] = f"{common}:print_stacktrace=1:halt_on_error=1"
        env["TSAN_OPTIONS"] = f"{common}:second_deadlock_stack=1" + self.suppressed("tsan")
        env["LSAN_OPTIONS"] = "print_suppressions=0" + self.suppressed("lsan")
        return env

    def suppressed(self, kind):
        path = self.suppressions / f"{kind}.txt"
        return f":suppressions={path}" if path.exists() else ""

    def __exit__(self, *unused):
        for path in sorted(self.folder.iterdir()):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            shown = "".join(f"\n      {line}" for line in lines[:40])
            self.result.add_failure(f"sanitizer report {path}{shown}")


def available(source):
    """The stages of this checkout by name, in the order in which they run."""
    asan = functools.partial(run_sanitized, "address,undefined")
    asan.__doc__ = "unit and e2e under AddressSanitizer and UndefinedBehaviorSanitizer"
    tsan = functools.partial(run_sanitized, "thread")
    tsan.__doc__ = "unit, and e2e where threads meet, under ThreadSanitizer"
    stages = {"lint": run_lint, "unit": run_unit, "e2e": run_e2e, "asan": asan, "tsan": tsan,
              "dist": run_dist}
    for name, options, builds_itself, purpose in (
            ("browser", [], False, "the dashboards in a real browser (tests/browser)"),
            ("fuzz", ["--seconds", FUZZ_SECONDS], True,
             "a bounded run of the fuzzers (tests/fuzz)"),
            ("soak", ["--seconds", SOAK_SECONDS], False,
             "good traffic beside all the faults at once, briefly (tests/soak)")):
        if (source / "tests" / name / "run").exists():
            stage = functools.partial(run_script, name, options, builds_itself)
            stage.__doc__ = purpose
            stages[name] = stage
    return stages
