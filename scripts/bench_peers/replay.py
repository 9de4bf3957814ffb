"""Same weights, same batches, same optimizer: are the losses the same? Dumps 100 steps of ours and replays them.

Usage: replay.py. Called by `scripts/bench same_loss`, which builds the program that dumps.
"""
import json
import os
import pathlib
import subprocess
import sys

import shapes

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = shapes.ROOT / "build" / "release" / "bin" / "test_core"
# A router is not continuous: once rounding sends a token to another expert, two runs part. Here that is at step 45.
CASES = [("nano", "eager", 100), ("nano", "hf", 100), ("moe", "hf", 40)]


def write_recipe(name, folder):
    """The recipe of a shape; an MoE's with one pack a step, for then our balance loss is Hugging Face's."""
    recipe = shapes.shipped_recipe(name)
    if recipe["model"]["base"].get("num_experts"):
        train = recipe["train"]
        train.update(packs=1, pack_tokens=train["packs"] * train["pack_tokens"])
        recipe["model"]["base"].update(balance="pack", router_z_loss_coef=0.0)
    target = folder / f"{name}.json"
    target.write_text(json.dumps(recipe, indent=1))
    return target


def main():
    code = 0
    for name, peer, steps in CASES:
        folder = shapes.ROOT / "build" / "bench" / "same_loss" / name
        folder.mkdir(parents=True, exist_ok=True)
        env = dict(os.environ, VEOMNI_DUMP_RECIPE=str(write_recipe(name, folder)), VEOMNI_DUMP_TO=str(folder))
        dump = subprocess.run([str(PROGRAM), "[.peer_dump]"], env=env, capture_output=True, text=True)
        if dump.returncode:
            raise SystemExit(f"{PROGRAM} [.peer_dump]: {dump.stdout[-2000:]}{dump.stderr[-2000:]}")
        replay = subprocess.run([sys.executable, str(HERE / "same_loss.py"), str(folder), "--peer", peer, "--steps", str(steps)],
                                capture_output=True, text=True)
        lines = replay.stdout.splitlines() or replay.stderr.splitlines()
        print(f"{name}, {peer}, {steps} steps: {lines[-1]}")
        code = code or replay.returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
