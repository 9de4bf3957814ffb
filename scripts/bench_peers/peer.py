"""One measurement of one peer: trains for some seconds and prints a JSON line with the seconds of every step.

    peer.py PEER SHAPE DATA --threads 2 --seconds 10 [--ranks 2]      PEER: hf | eager | gemm

With --ranks it starts that many processes of `threads` threads each under DistributedDataParallel over gloo, which
share the batch. SHAPE is the JSON that shapes.resolve() gives.
"""
import argparse
import json
import os
import socket
import subprocess
import sys
import time

import torch

from models import make_model, make_optimizer, train_step

WARM_UP_SECONDS = 2.0


def batches(path, context, count, seed):
    """Endless random windows of the text, as nanoGPT draws them: ids [count, context] and the same one further."""
    text = open(path, encoding="utf-8").read()
    index = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = torch.tensor([index[c] for c in text[: len(text) * 9 // 10]])
    generator = torch.Generator().manual_seed(seed)
    window = torch.arange(context)
    while True:
        rows = torch.randint(len(ids) - context - 1, (count, 1), generator=generator) + window
        yield ids[rows], ids[rows + 1]


def measure(peer, shape, data, seconds, rank, ranks, device="cpu", precision="fp32"):
    torch.manual_seed(1)
    model = make_model(peer, shape).to(device)
    optimizer = make_optimizer(peer, model)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    cast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
    if ranks > 1:
        torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
        model = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=peer == "eager")
    share = shape["batch"] // ranks
    stream = batches(data, shape["context"], share, seed=rank + 1)
    times, losses, begin = [], [], time.perf_counter()
    while True:
        start = time.perf_counter()
        ids, labels = (x.to(device) for x in next(stream))
        with cast:
            losses.append(train_step(peer, model, optimizer, ids, labels))
        wait()
        end = time.perf_counter()
        if start - begin > WARM_UP_SECONDS:
            times.append(end - start)
        stop = torch.tensor([float(end - begin > WARM_UP_SECONDS + seconds and len(times) >= 10)])
        if ranks > 1:  # outside the timed part: every rank leaves after the same step
            if len(losses) % 20:
                continue
            torch.distributed.all_reduce(stop)
        if stop.item():
            break
    return {"step_seconds": times, "tokens": share * ranks * shape["context"], "losses": [losses[0].item(), losses[-1].item()]}


def gemm_peak(seconds, device, precision):
    """GFLOP/s of the best of several large square products: f32 at the current thread count, or on the GPU."""
    best, begin, side = 0.0, time.perf_counter(), 8192 if device == "cuda" else 2048
    kind = {"device": device, "dtype": torch.bfloat16 if precision == "bf16" else torch.float32}
    a, b, out = torch.randn(side, side, **kind), torch.randn(side, side, **kind), torch.empty(side, side, **kind)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    while time.perf_counter() - begin < seconds:
        wait()
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        wait()
        best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return {"gflops": best / 1e9}


def spawn(arguments, ranks):
    """Starts the other ranks and becomes none of them: prints what rank 0 printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(ranks):
        env = dict(os.environ, PEER_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        output = None if rank == 0 else subprocess.DEVNULL
        children.append(subprocess.Popen([sys.executable, __file__, *arguments], env=env, stdout=output))
    return max(child.wait() for child in children)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["hf", "eager", "gemm"])
    parser.add_argument("shape")
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help="bf16: under torch.autocast")
    options = parser.parse_args()
    if options.ranks > 1 and "PEER_RANK" not in os.environ:
        return spawn(sys.argv[1:], options.ranks)
    torch.set_num_threads(options.threads)
    if options.peer == "gemm":
        print(json.dumps(gemm_peak(options.seconds, options.device, options.precision)))
        return 0
    rank = int(os.environ.get("PEER_RANK", 0))
    print(json.dumps(measure(options.peer, json.loads(options.shape), options.data, options.seconds, rank, options.ranks,
                             options.device, options.precision)), flush=True)
    if options.ranks > 1:  # gloo's destructor can wait for ever for a thread that waits for Python's lock
        torch.distributed.barrier()
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
