"""Ids and speed beside the Python package `tokenizers`: all of a text by lines and whole, and random Unicode strings.
   compare_tokenizers.py TEXT TOKENIZER.json…      run by hand with the Python of VEOMNI_DEPS/venv-peers; needs build/release or build/ci"""
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
RANDOM_STRINGS = 10_000
RANGES = [(0x20, 0x7F), (0x20, 0x7F), (0x09, 0x0D), (0xA0, 0x17F), (0x2B0, 0x37F), (0x380, 0x52F), (0x590, 0x6FF),
          (0x900, 0xDFF), (0xE00, 0x11FF), (0x1200, 0x1FFF), (0x2000, 0x206F), (0x20A0, 0x2BFF), (0x3000, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFFFD), (0x1F100, 0x1FAFF), (0x10000, 0x10FFFF)]


def random_text(generator):
    """Runs of a few scripts each; a tenth of the strings take any code point but surrogates."""
    if generator.random() < 0.1:
        codes = [generator.choice([generator.randrange(0xD800), generator.randrange(0xE000, 0x110000)])
                 for _ in range(generator.randrange(40))]
        return "".join(map(chr, codes))
    text = ""
    for _ in range(generator.randrange(1, 12)):
        low, high = generator.choice(RANGES)
        run = "".join(chr(generator.randrange(low, high + 1)) for _ in range(generator.randrange(1, 8)))
        text += generator.choice(["", " ", "  ", "\n", "'s", "'RE ", "12345", "Hello", " world", "\u0301"]) + run
    return text


def ours(program, tokenizer, texts, folder):
    lines = folder / "texts.jsonl"
    lines.write_text("".join(json.dumps(text) + "\n" for text in texts))
    env = dict(os.environ, VEOMNI_TOKENIZER=str(tokenizer), VEOMNI_TEXTS=str(lines), VEOMNI_DUMP_TO=str(folder / "ids.jsonl"))
    done = subprocess.run([program, "[.tokenizer_dump]"], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{tokenizer}: {done.stdout.strip()}")
    head, *rows = [json.loads(line) for line in (folder / "ids.jsonl").read_text().split("\n") if line]
    return head, rows


def theirs(tokenizer_json, texts):
    best, ids = float("inf"), None
    for _ in range(3):
        tokenizer = Tokenizer.from_str(tokenizer_json)  # its cache starts empty too
        start = time.perf_counter()
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        best = min(best, time.perf_counter() - start)
    return best, ids, tokenizer


def compare(name, program, file, texts, folder):
    opened = gzip.open(file, "rt") if str(file).endswith(".gz") else open(file)
    tokenizer_json = opened.read()
    head, rows = ours(program, file, texts, folder)
    seconds, ids, peer = theirs(tokenizer_json, texts)
    wrong = [i for i, row in enumerate(rows) if row["ids"] != ids[i]]
    decoded = [i for i, row in enumerate(rows) if row["text"] != peer.decode(ids[i], skip_special_tokens=False)]
    for i in wrong[:3]:
        print(f"  {name}: {texts[i][:200]!r}: {rows[i]['ids'][:30]}, not {ids[i][:30]}")
    for i in decoded[:2]:
        print(f"  {name}: decoded {rows[i]['text'][:100]!r}, not {peer.decode(ids[i], skip_special_tokens=False)[:100]!r}")
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"| {name} | {len(texts)} | {len(wrong)} | {len(decoded)} | {megabytes / head['encode_seconds']:.1f} MB/s | "
          f"{megabytes / seconds:.1f} MB/s | {seconds / head['encode_seconds']:.2f} × |", flush=True)
    return len(wrong)


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    programs = [ROOT / "build" / preset / "bin/test_base" for preset in ("release", "ci")]
    program = next((path for path in programs if path.exists()), None)
    if program is None:
        raise SystemExit("build test_base first: cmake --preset release && ninja -C build/release test_base")
    text = pathlib.Path(sys.argv[1]).read_text()
    generator = random.Random(1)
    strings = [random_text(generator) for _ in range(RANDOM_STRINGS)]
    wrong = 0
    print("| tokenizer, texts | texts | other ids | other text | veomni | tokenizers | faster |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for file in map(pathlib.Path, sys.argv[2:]):
            name = file.parent.name
            for what, texts in (("lines", text.splitlines(keepends=True)), ("whole", [text]), ("random", strings)):
                wrong += compare(f"{name}, {what}", program, file, texts, pathlib.Path(folder))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
