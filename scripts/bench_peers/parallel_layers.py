"""Peers of veomni's shared layers, in PyTorch over gloo: a MoE layer whose experts two ranks share, and Ulysses attention.

    parallel_layers.py moe|ulysses --seconds 5      starts two ranks of one thread; prints {"ms": median} of forward and backward
    parallel_layers.py compare [--rounds 3]         veomni's and these in turn; a table, and build/bench/layers.md
"""
import argparse
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.distributed.nn.functional import all_to_all_single

RANKS = 2
MOE = {"tokens": 2048, "dim": 256, "width": 256, "experts": 8, "choices": 2}
ULYSSES = {"tokens": 2048, "heads": 8, "head_dim": 32, "sample": 512}


class Experts(torch.nn.Module):
    """Dispatch, the experts of this rank one after the other, combine; exact counts, nothing dropped."""

    def __init__(self, tokens, dim, width, experts, choices):
        super().__init__()
        self.local, self.experts, self.choices = experts // RANKS, experts, choices
        self.up = torch.nn.Parameter(torch.randn(self.local, 2 * width, dim) * 0.02)
        self.down = torch.nn.Parameter(torch.randn(self.local, dim, width) * 0.02)

    def forward(self, x, gates, chosen):
        flat = chosen.reshape(-1)
        order = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=self.experts)
        received = torch.empty_like(counts)
        dist.all_to_all_single(received, counts)
        send = counts.view(RANKS, -1).sum(1).tolist()
        receive = received.view(RANKS, -1).sum(1).tolist()
        rows = all_to_all_single(x.new_empty(sum(receive), x.shape[1]), x[order // self.choices], receive, send)
        which = torch.arange(self.local).repeat(RANKS).repeat_interleave(received)
        by_expert = which.argsort(stable=True)
        parts = rows[by_expert].split(torch.bincount(which, minlength=self.local).tolist())
        out = []
        for part, up, down in zip(parts, self.up, self.down):
            gate, value = (part @ up.t()).chunk(2, dim=1)
            out.append((F.silu(gate) * value) @ down.t())
        made = torch.cat(out)[by_expert.argsort()]
        back = all_to_all_single(x.new_empty(sum(send), x.shape[1]), made, send, receive)
        return (back[order.argsort()].view(*gates.shape, -1) * gates.unsqueeze(-1)).sum(1)


def ulysses(qkv, tokens, heads, head_dim, sample):
    """qkv [t, 3, N, H] of this rank's tokens → [t, N H]: all samples of the row have one length."""
    t = qkv.shape[0]
    by_rank = qkv.view(t, 3, RANKS, heads // RANKS, head_dim).permute(2, 0, 1, 3, 4).contiguous()
    got = all_to_all_single(torch.empty_like(by_rank), by_rank).view(tokens // sample, sample, 3, heads // RANKS, head_dim)
    q, k, v = got.permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(RANKS, t, -1).contiguous()
    back = all_to_all_single(torch.empty_like(y), y)
    return back.transpose(0, 1).reshape(t, heads * head_dim)


def measure(what, seconds, rank):
    torch.manual_seed(rank)
    if what == "moe":
        layer = Experts(**MOE)
        x = torch.randn(MOE["tokens"] // RANKS, MOE["dim"], requires_grad=True)
        gates = torch.rand(len(x), MOE["choices"], requires_grad=True)
        chosen = torch.stack([torch.randperm(MOE["experts"])[: MOE["choices"]] for _ in range(len(x))])
        run = lambda: layer(x, gates, chosen)
    else:
        s = ULYSSES
        qkv = torch.randn(s["tokens"] // RANKS, 3, s["heads"], s["head_dim"], requires_grad=True)
        run = lambda: ulysses(qkv, **s)
    gradient = torch.randn_like(run())
    times, begin = [], time.perf_counter()
    for _ in range(200):
        dist.barrier()
        start = time.perf_counter()
        run().backward(gradient)
        times.append(time.perf_counter() - start)
        stop = torch.tensor([float(time.perf_counter() - begin > seconds)])
        dist.all_reduce(stop)
        if stop.item():
            break
    return 1e3 * statistics.median(times[3:])


def compare(rounds, seconds):
    root = pathlib.Path(__file__).resolve().parents[2]
    env = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    times = {}
    for _ in range(rounds):
        ours = subprocess.run(["mpirun", "-n", str(RANKS), root / "build/release/bin/test_mpi", "[layers]"], env=env,
                              capture_output=True, text=True, check=True).stdout
        for name, ms in re.findall(r'{"(\w+)": ([\d.]+)}', ours):
            times.setdefault(name, []).append(float(ms))
        for what in ("moe", "ulysses"):
            theirs = subprocess.run([sys.executable, __file__, what, "--seconds", str(seconds)], env=env, capture_output=True,
                                    text=True, check=True).stdout
            times.setdefault("torch_" + what, []).append(json.loads(theirs.strip().split("\n")[-1])["ms"])
    best = {name: statistics.median(values) for name, values in times.items()}
    lines = ["| forward and backward, 2 ranks × 1 thread | veomni, ms | plain (no overlap), ms | PyTorch over gloo, ms | veomni is |",
             "|---|---|---|---|---|"]
    for what, title in (("moe", "MoE layer, experts shared"), ("ulysses", "Ulysses attention")):
        ours, theirs = best[what + "_overlap"], best["torch_" + what]
        lines.append(f"| {title} | {ours:.1f} | {best[what]:.1f} | {theirs:.1f} | {theirs / ours:.2f} × |")
    out = root / "build/bench"
    out.mkdir(parents=True, exist_ok=True)
    (out / "layers.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["moe", "ulysses", "compare"])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.what == "compare":
        return compare(options.rounds, options.seconds)
    if "PEER_RANK" not in os.environ:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        children = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:]], stdout=None if rank == 0 else subprocess.DEVNULL,
                                     env=dict(os.environ, PEER_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
                                              OMP_NUM_THREADS="1")) for rank in range(RANKS)]
        return max(child.wait() for child in children)
    torch.set_num_threads(1)
    rank = int(os.environ["PEER_RANK"])
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    print(json.dumps({"ms": measure(options.what, options.seconds, rank)}), flush=True)
    dist.barrier()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
