"""Does transformers load what `veomni export` writes, without a warning, and find the loss that `veomni eval` finds?

Usage: check_export.py [--steps 60] [--program build/release/bin/veomni] [CASE …]. Trains the shakespeare and the MoE
recipe shortly, and the former with a base of every other family; exports the run, loads it with AutoModelForCausalLM and
compares the loss of the held-back text. Exit code 1 beyond 1e-5.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import torch
import transformers

import shapes

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = {**SIZES, "intermediate_size": 128, "num_key_value_heads": 2}
# Case: recipe, and the base it gets instead of its own.
CASES = {
    "nano": ("nano", None),
    "moe": ("moe", None),
    "llama_biases": ("nano", {"family": "llama", "attention_bias": True, "mlp_bias": True, "hidden_act": "gelu",
                              "max_position_embeddings": 64, "tie_word_embeddings": False, **GROUPED,
                              "rope_scaling": {"rope_type": "llama3", "factor": 4, "low_freq_factor": 1,
                                               "high_freq_factor": 4, "original_max_position_embeddings": 32}}),
    "llama_linear": ("nano", {"family": "llama", **GROUPED, "rope_scaling": {"rope_type": "linear", "factor": 2}}),
    "qwen2": ("nano", {"family": "qwen2", **GROUPED}),
    "qwen3_yarn": ("nano", {"family": "qwen3", **GROUPED,
                            "rope_scaling": {"rope_type": "yarn", "factor": 4,
                                             "original_max_position_embeddings": 16}}),
    "mistral_window": ("nano", {"family": "llama", **GROUPED, "sliding_window": 9}),
    "qwen2_window": ("nano", {"family": "qwen2", **GROUPED, "sliding_window": 9,
                              "layer_types": ["full_attention", "sliding_attention"]}),
    "mixtral": ("nano", {"family": "mixtral", "num_experts": 4, "num_experts_per_tok": 2, **GROUPED}),
    "gpt2": ("nano", {"family": "gpt2", "max_position_embeddings": 64, **SIZES}),
    "gpt_neox": ("nano", {"family": "gpt_neox", "rotary_pct": 0.5, "tie_word_embeddings": False, **SIZES}),
}


def run(program, *arguments):
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"veomni {arguments[0]}: {done.stderr}")
    return done.stdout


def windows(name):
    """The held-back samples: sample_tokens characters and the one that follows, ids in order of code points."""
    source = shapes.source_of(shapes.shipped_recipe(name))
    text = pathlib.Path(source["path"]).read_text()
    ids = {c: i for i, c in enumerate(sorted(set(text)))}
    data = torch.tensor([ids[c] for c in text])
    begin, end = (round(fraction * len(data)) for fraction in source["split"]["eval"])
    length = source["sample_tokens"]
    return [data[start: min(start + length + 1, end)] for start in range(begin, end - 1, length)]


def loss_of(model, name):
    rows, total, count = windows(name), 0.0, 0
    with torch.no_grad():
        for size in {len(row) for row in rows}:
            for batch in torch.stack([row for row in rows if len(row) == size]).split(64):
                logits = model(input_ids=batch[:, :-1]).logits
                total += torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum").item()
                count += batch[:, 1:].numel()
    return total / count


def check(case, options, folder):
    name, base = CASES[case]
    recipe = shapes.ROOT / shapes.SHAPES[name]["recipe"]
    target = folder / case
    shutil.rmtree(target, ignore_errors=True)
    run(options.program, "train", recipe, f"train.steps={options.steps}", "train.schedule.warmup=10",
        "eval.every=1000", f"output={target / 'run'}", "--json",
        *([f"model.base={json.dumps(base)}"] if base else []))
    line = json.loads((target / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    ours = line["eval"]["shakespeare"]["loss"]
    run(options.program, "export", target / "run", target / "hf")
    model, report = transformers.AutoModelForCausalLM.from_pretrained(target / "hf", output_loading_info=True)
    problems = {k: v for k, v in report.items() if v}
    theirs = loss_of(model.eval(), name)
    print(f"{case}: veomni {ours:.7f}, transformers {theirs:.7f}, difference {ours - theirs:+.1e}; loading: {problems or 'clean'}")
    return abs(ours - theirs) <= 1e-5 and not problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--program", default=shapes.ROOT / "build" / "release" / "bin" / "veomni")
    parser.add_argument("cases", nargs="*", default=list(CASES))
    options = parser.parse_args()
    folder = shapes.ROOT / "build" / "bench" / "export"
    return 0 if all([check(case, options, folder) for case in options.cases]) else 1


if __name__ == "__main__":
    sys.exit(main())
