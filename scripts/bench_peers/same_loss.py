"""Replays a run in PyTorch and compares the losses: same weights, same batches, same optimizer.

    same_loss.py FOLDER [--peer eager|hf] [--tolerance 1e-4] [--dtype float32|float64] [--steps N]

FOLDER holds
  config.json          the base model with Hugging Face's names (hidden_size, …, tie_word_embeddings), vocab_size
  weights.safetensors  the weights before the first step, f32, with Hugging Face's names: model.embed_tokens.weight,
                       model.layers.0.self_attn.q_proj.weight, …, model.norm.weight (tied: no lm_head.weight);
                       experts one by one (mlp.experts.0.gate_proj.weight) or stacked (mlp.experts.gate_up_proj)
  batches.jsonl        an object a step: {"samples": [[id, …], …], "labels": [[id, …], …], "lr": 0.001}, where
                       labels[s][t] is the target at position t of sample s (-100: none). `lr` is that step's
  losses.jsonl         an object a step with "loss", for example metrics.jsonl: mean over the step's labels
  optimizer.json       {"type": "adamw" | "sgd", "betas": [b1, b2], "eps": e, "weight_decay": d, "clip": c}; clip 0: none

Exit code 1 when a loss differs by more than the tolerance. With `hf` the loss of an MoE model holds its balance loss
too, weighted by config.json's router_aux_loss_coef: compare with "balance": "pack" and one pack a step, of samples of one length (padding would reach its router).
"""
import argparse
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file

from eager import load_hugging_face
from models import make_model, make_optimizer


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def padded(rows, fill):
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


def stack_experts(weights):
    """Files hold one matrix an expert (mlp.experts.3.gate_proj.weight); transformers 5 holds them stacked."""
    weights, layers = dict(weights), {}
    for name in [n for n in weights if ".mlp.experts." in n and n.endswith("_proj.weight")]:
        prefix, rest = name.split(".mlp.experts.")
        layers.setdefault(prefix, {})[tuple(rest.split(".")[:2])] = weights.pop(name)
    for prefix, parts in layers.items():
        numbers = sorted({int(number) for number, _ in parts})
        part = lambda kind: torch.stack([parts[str(n), kind] for n in numbers])
        weights[f"{prefix}.mlp.experts.gate_up_proj"] = torch.cat([part("gate_proj"), part("up_proj")], dim=1)
        weights[f"{prefix}.mlp.experts.down_proj"] = part("down_proj")
    return weights


def load(peer, config, weights, context):
    base = {k: v for k, v in config.items() if k != "vocab_size"}
    model = make_model(peer, {"base": base, "vocabulary": config["vocab_size"], "context": context})
    if peer == "eager":
        load_hugging_face(model, weights)
        return model
    missing, unexpected = model.model.load_state_dict(stack_experts(weights), strict=False)
    missing = [name for name in missing if name != "lm_head.weight" or not base.get("tie_word_embeddings", True)]
    if missing or unexpected:
        raise SystemExit(f"weights.safetensors: missing {missing}, unexpected {unexpected}")
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--peer", choices=["eager", "hf"], default="eager")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--steps", type=int, help="the first so many (default: all)")
    options = parser.parse_args()
    folder = options.folder
    config = json.loads((folder / "config.json").read_text())
    settings = json.loads((folder / "optimizer.json").read_text())
    batches, wanted = read_lines(folder / "batches.jsonl")[: options.steps], read_lines(folder / "losses.jsonl")
    wanted = [line["loss"] for line in wanted if "loss" in line and "eval" not in line]
    if len(wanted) < len(batches):
        raise SystemExit(f"losses.jsonl: {len(wanted)} losses for {len(batches)} batches")
    context = max(len(row) for batch in batches for row in batch["samples"])
    model = load(options.peer, config, load_file(folder / "weights.safetensors"), context).to(getattr(torch, options.dtype))
    if settings["type"] == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    else:
        optimizer = make_optimizer(options.peer, model, betas=tuple(settings["betas"]), eps=settings["eps"],
                                   weight_decay=settings["weight_decay"])
    worst = 0.0
    for step, (batch, ours) in enumerate(zip(batches, wanted)):
        for group in optimizer.param_groups:
            group["lr"] = batch["lr"]
        loss = model(padded(batch["samples"], 0), padded(batch["labels"], -100))
        loss.backward()
        if settings.get("clip"):
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip"])
        optimizer.step()
        optimizer.zero_grad()
        worst = max(worst, abs(loss.item() - ours))
        print(f"step {step + 1}: veomni {ours:.7f}, {options.peer} {loss.item():.7f}, difference {ours - loss.item():+.1e}")
    print(f"largest difference {worst:.1e}, tolerance {options.tolerance:.0e}")
    return 0 if worst <= options.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
