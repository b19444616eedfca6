# SPDX-License-Identifier: MIT
"""Counts of tests, read from what automake, Check and pytest leave behind, and their summary."""

import dataclasses
import xml.etree.ElementTree as ElementTree

CHECK_NS = "{http://check.sourceforge.net/ns}"


@dataclasses.dataclass
class StageResult:
    """What one stage did. A failure is a line that names the test and says what was wrong."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list = dataclasses.field(default_factory=list)

    def add_failure(self, text):
        self.failed += 1
        self.failures.append(text)

    def total(self):
        return self.passed + self.failed

    def line(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped} ({self.seconds:.0f} s)"


def read_check_xml(path, result):
    """Adds the tests of one Check program; returns how many failed, or None without a report."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    failed = 0
    for test in root.iter(f"{CHECK_NS}test"):
        if test.get("result") == "success":
            result.passed += 1
            continue
        failed += 1
        field = {child.tag.removeprefix(CHECK_NS): child.text or "" for child in test}
        result.add_failure(f"{path.stem}: {field.get('description')}:{field.get('id')} "
                           f"{field.get('fn')}: {field.get('message')}")
    return failed


def check_reports(build_dir, suffix):
    """Files of `make check` in a build; not those of a distcheck that ended early inside it."""
    return [path for path in sorted(build_dir.rglob(f"*{suffix}"))
            if not path.relative_to(build_dir).parts[0].startswith("weir-")]


def read_automake_results(build_dir, result):
    """Adds all programs that `make check` ran in this build folder."""
    for trs in check_reports(build_dir, ".trs"):
        program = trs.with_suffix("")
        verdict = trs.read_text(encoding="utf-8").partition(":test-result:")[2].split()[0]
        if verdict == "SKIP":
            continue
        report = program.with_name(program.name + ".xml")
        failed = read_check_xml(report, result)
        if verdict == "PASS":
            if failed is None:
                result.passed += 1
        elif not failed:
            # It died before its report, or after it (a leak that the sanitizer saw at exit).
            log = trs.with_suffix(".log")
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            result.add_failure(f"{program.relative_to(build_dir)}: {verdict}\n" +
                               "\n".join(f"      {line}" for line in tail))


def read_junit(path, result):
    """Adds the tests of a JUnit report, as pytest writes it."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        result.add_failure(f"no report: {error}")
        return
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        trouble = [child for child in case if child.tag in ("failure", "error")]
        if trouble:
            message = (trouble[0].get("message") or "").strip().splitlines() or [""]
            result.add_failure(f"{name}: {message[0]}")
        elif case.find("skipped") is not None:
            result.skipped += 1
        else:
            result.passed += 1


def print_summary(results, not_run):
    """Prints the failures, the table and the closing line; returns the exit code."""
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    if failed:
        print("\nFailures:")
        for result in results:
            for text in result.failures:
                print(f"  [{result.name}] {text}")
    print(f"\n{'suite':12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for result in results:
        print(f"{result.name:12}{result.passed:8}{result.failed:8}{result.skipped:9}"
              f"{result.seconds:9.0f}")
    for name in not_run:
        print(f"{name:12}{'not run':>16}")
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
