"""Counts Catch2 cases and script tests in CTest's JUnit file: a line for each suite, then the totals.

A case that printed `SKIPPED: reason` counts as skipped (Catch2 2 has no skip of its own). Under mpirun every rank
prints: the rank with most cases counts.
"""
import re
import sys
from xml.etree import ElementTree

SUMMARY = re.compile(r"^test cases: +\d+ \|.*|^All tests passed \(.* in (\d+) test cases?\)|^No tests ran", re.M)


def number(text, word):
    found = re.search(r"(\d+) " + word, text)
    return int(found[1]) if found else 0


def count(output, status):
    """(passed, failed, skipped) of one CTest entry that ended as `status`: passed, failed or skipped."""
    summaries = list(SUMMARY.finditer(output))
    ok = status == "passed"
    if status == "skipped":
        return 0, 0, 1
    if not summaries:  # no Catch2: a script, or one that died before its summary
        return (1, 0, 0) if ok else (0, 1, 0)
    passed = max(int(m[1]) if m[1] else number(m[0], "passed") + number(m[0], "failed as expected") for m in summaries)
    failed = max(number(m[0], "failed(?! as)") for m in summaries)
    skipped = -(-len(re.findall(r"^SKIPPED: ", output, re.M)) // len(summaries))
    if not ok and failed == 0:  # a crash at exit, a leak, a time-out
        failed = 1
    return max(0, passed - skipped), failed, skipped


def main():
    try:
        suites = list(ElementTree.parse(sys.argv[1]).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"no test ran ({error})\n0 passed, 1 failed, 0 skipped")
        return 1
    totals = [0, 0, 0]
    for suite in sorted(suites, key=lambda s: s.get("name")):
        skipped = suite.find("skipped") is not None and "SKIP_" in suite.find("skipped").get("message", "")
        state = "skipped" if skipped else "passed" if suite.get("status") == "run" else "failed"
        numbers = count(suite.findtext("system-out") or "", state)
        print("{:20} {:5} passed {:4} failed {:4} skipped {:8.1f} s".format(
            suite.get("name"), *numbers, float(suite.get("time") or 0)))
        totals = [total + n for total, n in zip(totals, numbers)]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or not sum(totals) else 0


if __name__ == "__main__":
    sys.exit(main())
