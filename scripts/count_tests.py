"""Counts Catch2 cases and script tests in CTest's LastTest.log: a line for each suite, then the totals.

A case that printed `SKIPPED: reason` counts as skipped (Catch2 2 has no skip of its own). Under mpirun every rank
prints: the rank with most cases counts.
"""
import re
import sys

SUMMARY = re.compile(r"^test cases: +\d+ \|.*|^All tests passed \(.* in (\d+) test cases?\)|^No tests ran", re.M)


def count(output, status):
    """(passed, failed, skipped) of one CTest entry."""
    summaries = list(SUMMARY.finditer(output))
    ok = status == "Passed"
    if status == "Skipped":
        return 0, 0, 1
    if not summaries:  # no Catch2: a script, or one that died before its summary
        return (1, 0, 0) if ok else (0, 1, 0)
    passed = failed = 0
    for match in summaries:
        text = match.group(0)
        number = lambda word: int((re.search(r"(\d+) " + word, text) or [0, 0])[1])
        passed = max(passed, int(match.group(1)) if match.group(1) else number("passed") + number("failed as expected"))
        failed = max(failed, number(r"failed(?! as)"))
    skipped = -(-len(re.findall(r"^SKIPPED: ", output, re.M)) // len(summaries))
    if not ok and failed == 0:  # a crash at exit, a leak, a time-out
        failed = 1
    return max(0, passed - skipped), failed, skipped


def main():
    try:
        log = open(sys.argv[1], encoding="utf-8", errors="replace").read()
    except OSError as error:
        print(f"no test ran ({error})\n0 passed, 1 failed, 0 skipped")
        return 1
    totals = [0, 0, 0]
    for block in re.split(r"^\d+/\d+ Testing: ", log, flags=re.M)[1:]:
        name = block.split("\n", 1)[0].strip()
        body, _, tail = block.partition("<end of output>")
        output = body.partition("\nOutput:\n")[2].partition("\n")[2]
        state = re.search(r"^Test (Passed|Failed|.*Skipped|.*)\.", tail, re.M)
        status = "Skipped" if "Skipped" in tail else "Passed" if state and state[1] == "Passed" else "Failed"
        numbers = count(output, status)
        seconds = re.search(r"^Test time = +([\d.]+)", tail, re.M)
        print(f"{name:20} {numbers[0]:5} passed {numbers[1]:4} failed {numbers[2]:4} skipped "
              f"{float(seconds[1]) if seconds else 0:8.1f} s")
        totals = [a + b for a, b in zip(totals, numbers)]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or not sum(totals) else 0


sys.exit(main())
