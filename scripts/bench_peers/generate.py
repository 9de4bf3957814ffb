"""Tokens a second of greedy generation with a cache: veomni beside transformers' generate, in turn, on the same models.

    generate.py [--threads 2] [--rounds 3] [--tokens 256] [--program PATH]

Time is that of the tokens after the first 16: two lengths are generated and the shorter one's time is taken off, so that
neither start-up nor loading counts. Both must write the same ids. Results: a table, and build/bench/generate.md.
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

OUT = shapes.ROOT / "build" / "bench"
STORIES = shapes.ROOT.parent / "shared" / "data" / "model_stories260k" / "hf"
FIRST = 16
BATCHES = (1, 8)


def prompts(batch):
    return [[1 + (7 * i + j) % 300 for j in range(12)] for i in range(batch)]


def make_model(folder):
    """A llama of 6 layers, 384 wide, with random weights large enough that no two logits tie."""
    import torch
    import transformers
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        hidden_size=384, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=6, num_key_value_heads=6,
        vocab_size=4096, max_position_embeddings=2048, initializer_range=0.08, tie_word_embeddings=True)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def peer(options):
    """In a process of its own: one JSON line, seconds and ids of a generation of each length."""
    import torch
    import transformers
    torch.set_num_threads(options.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(options.peer, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    ids = torch.tensor(prompts(options.batch))
    result = []
    with torch.inference_mode():
        model.generate(ids, max_new_tokens=4, do_sample=False, pad_token_id=0)
        for count in (FIRST, FIRST + options.tokens):
            begin = time.perf_counter()
            made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False,
                                  pad_token_id=0)
            result.append({"seconds": time.perf_counter() - begin, "ids": made[:, ids.shape[1]:].tolist()})
    print(json.dumps(result))


def run(command, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), TRANSFORMERS_VERBOSITY="error")
    begin = time.perf_counter()
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))[:200]} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - begin, done.stdout


def run_peer(model, batch, options):
    command = [sys.executable, __file__, "--peer", model, "--batch", batch, "--threads", options.threads, "--tokens", options.tokens]
    short, long = json.loads(run(command, options.threads)[1].strip().split("\n")[-1])
    return long["seconds"] - short["seconds"], long["ids"]


def run_veomni(model, batch, options):
    seconds = []
    for count in (FIRST, FIRST + options.tokens):
        command = [options.program, "generate", model, "--json", "--ignore-eos", "--temperature", 0, "--max-new-tokens", count]
        for ids in prompts(batch):
            command += ["--tokens", ",".join(map(str, ids))]
        took, out = run(command, options.threads)
        seconds.append(took)
    return seconds[1] - seconds[0], [json.loads(line)["ids"] for line in out.splitlines()]


def agreement(ours, theirs):
    """Share of tokens before the first difference of each text: rounding can change a near tie."""
    same = 0
    for a, b in zip(ours, theirs):
        same += next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), len(a))
    return same / sum(map(len, ours))


def measure(name, model, options):
    lines = []
    for batch in BATCHES:
        rates = {"veomni": [], "transformers": []}
        for _ in range(options.rounds):
            ours, our_ids = run_veomni(model, batch, options)
            theirs, their_ids = run_peer(model, batch, options)
            rates["veomni"].append(batch * options.tokens / ours)
            rates["transformers"].append(batch * options.tokens / theirs)
        a, b = (statistics.median(rates[p]) for p in ("veomni", "transformers"))
        lines.append(f"| {name}, batch {batch} | {a:,.0f} | {b:,.0f} | {a / b:.1f} × | {agreement(our_ids, their_ids):.0%} |")
        print(lines[-1], flush=True)
    return lines


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench generate")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--program", default=shapes.ROOT / "build/release/bin/veomni")
    parser.add_argument("--peer", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        return peer(options)
    OUT.mkdir(parents=True, exist_ok=True)
    lines = [f"| greedy, tokens/s, {options.threads} threads | veomni | transformers | | same ids |", "|---|---|---|---|---|"]
    print("\n".join(lines))
    lines += measure("llama, 6 layers, 384 wide", make_model(OUT / "llama-384"), options)
    if STORIES.exists():
        lines += measure("stories260k", STORIES, options)
    (OUT / "generate.md").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
