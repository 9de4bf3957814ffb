"""How long a user waits: the verbs that load no LibTorch, and from launch to the first finished optimizer step."""
import os
import statistics
import subprocess
import time


def median_ms(command, repeats=21):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        times.append(1e3 * (time.perf_counter() - start))
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return statistics.median(times)


def first_step_seconds(command, metrics, timeout=60):
    """From the start of `command` until metrics.jsonl holds its first whole line, and until the process has ended."""
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, text=True)
    first = None
    while time.perf_counter() - start < timeout:
        if first is None and metrics.exists() and "\n" in metrics.read_text():
            first = time.perf_counter() - start
        if process.poll() is not None:
            break
        time.sleep(0.002)
    else:
        process.kill()
        raise SystemExit(f"{' '.join(command)} did not end within {timeout} s")
    error = process.stderr.read()
    if process.returncode or not (first or metrics.exists()):
        raise SystemExit(f"{' '.join(command)} failed: {error.strip()}")
    total = time.perf_counter() - start
    return first or total, total


def measure_startup(program, root, out):
    lines = ["| | measured | limit |", "|---|---|---|"]
    recipe = str(root / "recipes/quickstart.json")
    for arguments in (["--help"], ["validate", recipe], ["schema"]):
        ms = median_ms([str(program), *arguments])
        lines.append(f"| `veomni {arguments[0]}` (median of 21) | {ms:.1f} ms | 30 ms |")
    firsts, totals = [], []
    for number in range(5):
        run = out / "runs" / f"startup-{time.time_ns()}-{number}"
        command = [str(program), "train", recipe, "train.steps=1", "train.schedule.warmup=0", f"output={run}", "--ranks", "2", "--json"]
        first, total = first_step_seconds(command, run / "metrics.jsonl")
        firsts.append(first)
        totals.append(total)
    lines.append(f"| launch to first finished step, 2 ranks (median of 5) | {statistics.median(firsts):.2f} s | 2 s |")
    lines.append(f"| the same until the process has ended | {statistics.median(totals):.2f} s | |")
    print("\n".join(lines))
    return lines
