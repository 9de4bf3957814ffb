"""Does transformers load what `veomni export` writes, without a warning, and find the loss that `veomni eval` finds?

Usage: check_export.py [--steps 60]. Trains the shakespeare and the MoE recipe shortly (build/release), exports the run,
loads it with AutoModelForCausalLM and compares the loss of the held-back text. Exit code 1 beyond 1e-5.
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

PROGRAM = shapes.ROOT / "build" / "release" / "bin" / "veomni"


def run(*arguments):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True)
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


def check(name, steps, folder):
    recipe = shapes.ROOT / shapes.SHAPES[name]["recipe"]
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    run("train", recipe, f"train.steps={steps}", "train.schedule.warmup=10", "eval.every=1000",
        f"output={target / 'run'}", "--json")
    line = json.loads((target / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    ours = line["eval"]["shakespeare"]["loss"]
    run("export", target / "run", target / "hf")
    model, report = transformers.AutoModelForCausalLM.from_pretrained(target / "hf", output_loading_info=True)
    problems = {k: v for k, v in report.items() if v}
    theirs = loss_of(model.eval(), name)
    print(f"{name}: veomni {ours:.7f}, transformers {theirs:.7f}, difference {ours - theirs:+.1e}; loading: {problems or 'clean'}")
    return abs(ours - theirs) <= 1e-5 and not problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    folder = shapes.ROOT / "build" / "bench" / "export"
    return 0 if all([check(name, options.steps, folder) for name in ("nano", "moe")]) else 1


if __name__ == "__main__":
    sys.exit(main())
