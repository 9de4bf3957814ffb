"""How fast a model directory is loaded, against a plain read of its files, and what memory that takes.

    load.py [--gigabytes 1] [--rounds 3] [--ranks 1 2 4] [--folder DIR]

Makes llama directories of random weights (fp32 and bf16, in one file and in several), has `veomni train` start from each
(the program says how long it loaded; it is ended then), in turn with a read of the same files into fresh memory by one
thread. Warm: the files are in the page cache; cold: they were dropped from it before (posix_fadvise).
Before each of them three times the model's size is touched, and freed when the reading begins: a virtual machine may give freed memory back to
its host (virtio's free page reporting), and getting it again takes, by chance, up to seconds, of whoever needs it next.
Where that is not enough, medians show the host; the best round of each shows the program.
Memory: what a rank's resident memory grew by, at most, from the moment the model is built, against the f32 parameters
that this rank keeps.
"""
import argparse
import json
import mmap
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

import numpy as np

import shapes

PROGRAM = shapes.ROOT / "build/release/bin/veomni"
SAYS = re.compile(r"loaded ([\d.]+) GB from .* in ([\d.]+) s \(at most (\d+) MB more memory for (\d+) MB of parameters")


def tensors_of(hidden, layers, vocab):
    yield "model.embed_tokens.weight", [vocab, hidden]
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name in ("q", "k", "v", "o"):
            yield f"{at}self_attn.{name}_proj.weight", [hidden, hidden]
        for name, shape in (("gate", [4 * hidden, hidden]), ("up", [4 * hidden, hidden]), ("down", [hidden, 4 * hidden])):
            yield f"{at}mlp.{name}_proj.weight", shape
        yield f"{at}input_layernorm.weight", [hidden]
        yield f"{at}post_attention_layernorm.weight", [hidden]
    yield "model.norm.weight", [hidden]
    yield "lm_head.weight", [vocab, hidden]


def write_shard(path, tensors, dtype, size):
    header, at = {}, 0
    for name, shape in tensors:
        count = int(np.prod(shape)) * size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + count]}
        at += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = (np.random.default_rng(1).standard_normal(1 << 20).astype(np.float32) * 0.02)
    block = block.tobytes() if size == 4 else (block.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        while at > 0:
            at -= file.write(block[:min(at, len(block))])


def make_model(folder, dtype, shards, gigabytes):
    hidden, vocab, size = 1024, 8000, 4 if dtype == "F32" else 2
    layers = max(1, round((gigabytes * 1e9 / size - 2 * vocab * hidden) / (16 * hidden * hidden)))
    folder.mkdir(parents=True)
    tensors = list(tensors_of(hidden, layers, vocab))
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": layers,
        "num_attention_heads": 16, "num_key_value_heads": 16, "vocab_size": vocab, "rms_norm_eps": 1e-5,
        "rope_theta": 1e4, "hidden_act": "silu", "tie_word_embeddings": False}))
    if shards == 1:
        write_shard(folder / "model.safetensors", tensors, dtype, size)
        return
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    share = -(-len(tensors) // shards)
    for i, name in enumerate(names):
        write_shard(folder / name, tensors[i * share:(i + 1) * share], dtype, size)
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": {tensor: names[i // share] for i, (tensor, _) in enumerate(tensors)}}))


def write_recipe(folder, model):
    (folder / "text.txt").write_text("a" * 5000)
    recipe = {"name": "load", "model": {"from": str(model), "decoders": {"text": {"type": "text"}}}, "tokenizer": "bytes",
              "data": {"sources": [{"name": "text", "format": "text", "path": "text.txt", "sample_tokens": 16,
                                    "sample": [{"part": "text", "field": "text", "learn": True}]}]},
              "train": {"steps": 1, "packs": 4, "pack_tokens": 64}, "output": str(folder / "run")}
    (folder / "load.json").write_text(json.dumps(recipe))
    return folder / "load.json"


def drop_from_cache(files):
    os.sync()
    for path in files:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class BackedMemory:
    """Memory that the host backs: what is freed of it is what the system gives away next."""

    def __init__(self, gigabytes):
        size = int(gigabytes * 1e9) >> 21 << 21
        self.memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            self.memory[at] = 1

    def free(self):
        self.memory.close()

    def free_when_loading(self, session, ranks):
        """When the ranks have some 100 MB each: LibTorch alone takes 70."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and memory_of(session) < ranks * 100_000:
            time.sleep(0.005)
        self.free()


def memory_of(session):
    """kB of their own that the processes of a session have."""
    total = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) == session:
                total += int(re.search(r"RssAnon:\s+(\d+)", (process / "status").read_text())[1])
        except (OSError, TypeError):  # it has ended
            pass
    return total


def plain_read(files, backed):
    backed.free()
    start = time.perf_counter()
    for path in files:
        memory = np.empty(path.stat().st_size, np.uint8)
        view, at = memoryview(memory), 0
        with open(path, "rb", buffering=0) as file:
            while got := file.readinto(view[at:at + (8 << 20)]):
                at += got
    return time.perf_counter() - start


def load(recipe, ranks, threads, backed):
    """Seconds of loading, most MB that a rank took, MB of parameters it keeps."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    command = [str(PROGRAM), "train", str(recipe), "--overwrite", f'parallel={{"shard":{ranks}}}']
    if ranks > 1:
        command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             start_new_session=True)
    threading.Thread(target=backed.free_when_loading, args=(child.pid, ranks)).start()
    said = []
    try:
        for line in child.stdout:
            said.append(line)
            if found := SAYS.search(line):
                return float(found[2]), int(found[3]), int(found[4])
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    raise SystemExit("".join(said)[-2000:])


def measure(folder, name, dtype, shards, settings):
    model = folder / name
    make_model(model, dtype, shards, settings.gigabytes)
    files = sorted(model.glob("*.safetensors"))
    gigabytes = sum(path.stat().st_size for path in files) * 1e-9
    recipe = write_recipe(folder, model)
    os.sync()
    for ranks in settings.ranks:
        threads = max(1, len(os.sched_getaffinity(0)) // ranks)
        for cold in (False, True):
            plain, loaded = [], []
            for _ in range(settings.rounds + (not cold)):
                for measured in (plain, loaded):
                    if cold:
                        drop_from_cache(files)
                    backed = BackedMemory(3 * gigabytes)
                    measured.append((plain_read(files, backed),) if measured is plain
                                    else load(recipe, ranks, threads, backed))
            if not cold:  # the first round warms
                plain, loaded = plain[1:], loaded[1:]
            a, b = (statistics.median(x[0] for x in measured) for measured in (plain, loaded))
            most, kept = max(x[1] for x in loaded), loaded[0][2]
            best = min(x[0] for x in loaded) / min(x[0] for x in plain)
            print(f"| {name} | {gigabytes:.2f} | {ranks} | {'cold' if cold else 'warm'} | {a:.2f} | {b:.2f} | {b / a:.2f} "
                  f"| {best:.2f} | {kept} | {most - kept:+d} |", flush=True)
    shutil.rmtree(model)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--models", nargs="+", default=["fp32", "fp32-sharded", "bf16", "bf16-sharded"])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()))
    settings = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores; medians of {settings.rounds} rounds\n")
    print("| model | GB | ranks | page cache | plain read, s | loading, s | times | best of each | parameters a rank, MB | memory beyond them, MB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="veomni-load-", dir=settings.folder))
    try:
        for name in settings.models:
            measure(folder, name, "F32" if name.startswith("fp32") else "BF16", 4 if name.endswith("sharded") else 1, settings)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
