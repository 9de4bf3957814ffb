"""Measures veomni and its peers alternately in one run and prints a table; results go to build/bench.

    bench.py cpu [--shape nano] [--seconds 10] [--rounds 3] [--peers-only]       bench.py startup
    bench.py gpu [--shape gpu-dense] [--precision bf16] [--program build/release/bin/veomni]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import shapes
from startup import measure_startup

ROOT = shapes.ROOT
PROGRAM = ROOT / "build/release/bin/veomni"
HERE = pathlib.Path(__file__).parent
OUT = ROOT / "build/bench"
NAMES = {"veomni": "veomni", "eager": "(b) PyTorch eager, expert", "hf": "(a) transformers, plain loop"}


def run_process(command, threads, seconds):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True, timeout=300 + 30 * seconds)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))[:200]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def run_peer(peer, shape, data, case):
    command = [sys.executable, HERE / "peer.py", peer, json.dumps(shape), data, "--threads", case["threads"],
               "--seconds", case["seconds"], "--ranks", case["ranks"], "--device", case["device"],
               "--precision", case["precision"]]
    return json.loads(run_process(command, case["threads"], case["seconds"]).strip().split("\n")[-1])


def run_veomni(shape, case, steps):
    """Seconds of each step after the first 2 s, from metrics.jsonl."""
    run = OUT / "runs" / f"{shape['name']}-{case['ranks']}-{time.time_ns()}"
    recipe = shapes.write_recipe(shape, steps, case["ranks"], run, OUT, case["precision"])
    ranks = ["--ranks", case["ranks"]] if case["ranks"] > 1 else []
    run_process([case["program"], "train", recipe, "--json", *ranks], case["threads"], case["seconds"])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "step_seconds" in line]
    shapes.check(shape, run, statistics.median(line["tokens"] for line in lines))
    warm, begun = [], 0.0
    for line in lines:
        if begun > min(2.0, case["seconds"] / 4):
            warm.append(line["step_seconds"])
        begun += line["step_seconds"]
    if len(warm) < 5:
        raise SystemExit(f"{shape['name']}: only {len(warm)} steps after the warm-up; raise --seconds")
    return {"step_seconds": warm, "tokens": lines[-1]["tokens"]}


def measure_case(shape, data, case, options):
    """Rounds of A B C A B C …: {participant: {tokens_per_second, …}}."""
    participants = [p for p in ("veomni", "eager", "hf") if not (p == "eager" and shape["base"].get("num_experts"))]
    if options.peers_only:
        participants.remove("veomni")
    steps = 30
    if "veomni" in participants:  # how many steps fill the time
        trial = run_veomni(shape, dict(case, seconds=0.1), steps)
        steps = int((case["seconds"] + 2) / statistics.median(trial["step_seconds"])) + 20
    times = {p: [] for p in participants}
    rounds = {p: [] for p in participants}
    for _ in range(options.rounds):
        for participant in participants:
            if participant == "veomni":
                result = run_veomni(shape, case, steps)
            else:
                result = run_peer(participant, shape, data, case)
            times[participant] += result["step_seconds"]
            rounds[participant].append(result["tokens"] / statistics.median(result["step_seconds"]))
    tokens = shape["batch"] * shape["context"]
    return {p: {"tokens_per_second": tokens / statistics.median(t), "median_step_ms": 1e3 * statistics.median(t),
                "steps": len(t), "rounds": rounds[p]} for p, t in times.items()}


def describe(shape):
    base = shape["base"]
    experts = f", {base['num_experts']} experts top-{base['num_experts_per_tok']}" if base.get("num_experts") else ""
    return (f"{shape['name']}: {base['num_hidden_layers']} layers, {base['num_attention_heads']} heads, "
            f"{base['hidden_size']} wide{experts}, context {shape['context']}, batch {shape['batch']}")


def table(shape, case, results, peak):
    """Markdown of one case: tokens/s, spread over the rounds, veomni's ratio to each peer, share of the peak."""
    layout = f"{case['ranks']} ranks × {case['threads']} thread" if case["ranks"] > 1 else f"{case['threads']} threads"
    layout = f"one GPU, {case['precision']}" if case["device"] == "cuda" else layout
    lines = [f"### {describe(shape)}; {layout}", "", "| | tokens/s | rounds | ms a step | veomni is | of the peak |",
             "|---|---|---|---|---|---|"]
    ours = results.get("veomni", {}).get("tokens_per_second")
    for participant, r in results.items():
        share = r["tokens_per_second"] * shapes.flops_per_token(shape) / (peak * 1e9)
        ratio = f"{ours / r['tokens_per_second']:.2f} ×" if ours and participant != "veomni" else ""
        name = NAMES[participant] + (" under DDP/gloo" if case["ranks"] > 1 and participant != "veomni" else "")
        lines.append(f"| {name} | {r['tokens_per_second']:,.0f} | {min(r['rounds']):,.0f} – {max(r['rounds']):,.0f} | "
                     f"{r['median_step_ms']:.2f} | {ratio} | {share:.0%} |")
    return "\n".join(lines) + "\n"


def machine():
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{model[0] if model else 'unknown processor'}, {os.cpu_count()} logical cores, load {os.getloadavg()[0]:.1f}"


def multiply_add_peak(threads):
    """f32 GFLOP/s of a loop of nothing but fused multiply-adds: the vector units of so many cores."""
    program = OUT / "fma_peak"
    run_process(["g++", "-O2", "-march=native", "-fopenmp", "-ffp-contract=fast", HERE / "fma_peak.cpp", "-o", program], 1, 1)
    return max(float(run_process([program], threads, 1)) for _ in range(3))


def gpu():
    import torch
    return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, {os.cpu_count()} processor cores"


def data_file(options):
    if options.data:
        return options.data
    path = ROOT / shapes.SHAPES["nano"]["recipe"]
    if not path.exists():
        raise SystemExit(f"{path} not found; give the text with --data FILE")
    return shapes.source_of(shapes.shipped_recipe("nano"))["path"]


def bench(options):
    data = data_file(options)
    on_gpu = options.what == "gpu"
    cores = len(os.sched_getaffinity(0))
    layouts = [{"ranks": 1, "threads": options.threads or cores}]
    if not on_gpu:
        layouts.append({"ranks": 2, "threads": 1})
    means = {"device": "cuda" if on_gpu else "cpu", "precision": options.precision, "program": options.program}
    text = [f"machine: {gpu() if on_gpu else machine()}"]
    record = {"machine": text[0], "cases": []}
    peaks = {}
    for threads in {c["threads"] * c["ranks"] for c in layouts}:
        command = [sys.executable, HERE / "peer.py", "gemm", "{}", data, "--threads", threads, "--seconds", 3,
                   "--device", means["device"], "--precision", options.precision]
        products = json.loads(run_process(command, threads, 3))["gflops"]
        text.append(f"PyTorch's {options.precision} matrix product ({'8192³' if on_gpu else f'2048³, {threads} threads'}): "
                    f"{products:,.0f} GFLOP/s" + (", the peak below" if on_gpu else ""))
        peaks[threads] = products if on_gpu else multiply_add_peak(threads)
        if not on_gpu:
            text.append(f"loop of fused multiply-adds, {threads} threads: {peaks[threads]:,.0f} GFLOP/s, the peak below")
    print("\n".join(text) + "\n", flush=True)
    for name in options.shape or (shapes.GPU_SHAPES if on_gpu else shapes.SHAPES):
        shape = shapes.resolve(name)
        for case in layouts:
            case = dict(case, seconds=options.seconds, **means)
            results = measure_case(shape, data, case, options)
            text.append(table(shape, case, results, peaks[case["threads"] * case["ranks"]]))
            record["cases"].append({"shape": shape, "case": dict(case, program=str(case["program"])), "results": results})
            print(text[-1], flush=True)
    record["peak_gflops"] = peaks
    written = OUT / options.what
    written.with_suffix(".json").write_text(json.dumps(record, indent=1))
    written.with_suffix(".md").write_text("\n".join(text))
    print(f"written: {written}.md, {written}.json")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("what", choices=["cpu", "gpu", "startup"])
    parser.add_argument("--shape", action="append", choices=list(shapes.SHAPES | shapes.GPU_SHAPES))
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="default: fp32 on the CPU, bf16 on a GPU")
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--seconds", type=float, default=10, help="of each participant in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of the case with one rank (default: all cores)")
    parser.add_argument("--data", help="text for the peers (default: the recipe's)")
    parser.add_argument("--peers-only", action="store_true")
    options = parser.parse_args()
    options.precision = options.precision or ("bf16" if options.what == "gpu" else "fp32")
    OUT.mkdir(parents=True, exist_ok=True)
    if options.what == "startup":
        lines = measure_startup(PROGRAM, ROOT, OUT)
        (OUT / "startup.md").write_text("\n".join(lines) + "\n")
    else:
        bench(options)


if __name__ == "__main__":
    main()
