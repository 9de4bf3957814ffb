"""Does transformers load a Qwen2.5-VL that `veomni export` writes, without a warning, and find the loss of `veomni eval`?

Usage: check_vision_export.py DIRECTORY [--steps 30] [--program …]. DIRECTORY: a small Qwen2.5-VL in Hugging Face's form, without a
tokenizer (texts are bytes). Trains it on made images and captions, half of the steps, then resumes for the other half; exports the
resumed run; exports once more what was imported from that export. Exit code 1 beyond 1e-5.
"""
import argparse
import json
import pathlib
import shutil
import struct
import sys
import zlib

import numpy as np
import torch
import transformers

import shapes
from check_export import run

# Of Qwen2.5-VL's processor (preprocessor_config.json of the published models).
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
COLOURS = {"red": (220, 30, 40), "green": (30, 200, 60), "blue": (40, 60, 230), "white": (245, 245, 245)}


def picture(index):
    """A coloured frame around a darker field, and its caption. Sides are whole numbers of merged patches: nothing is resized."""
    name = list(COLOURS)[index % len(COLOURS)]
    height, width = 64 + 8 * (index % 3), 64 + 16 * (index % 2)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = COLOURS[name]
    noise = np.random.default_rng(index).integers(0, 60, (height // 2, width // 2, 3))
    image[height // 4:height // 4 + height // 2, width // 4:width // 4 + width // 2] = noise
    return image, f"a {name} frame of {height} by {width}"


def png(image):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_recipe(model, folder, count):
    folder.mkdir(parents=True)
    lines = []
    for index in range(count):
        image, text = picture(index)
        (folder / f"{index}.png").write_bytes(png(image))
        lines.append(json.dumps({"image": f"{index}.png", "text": text}))
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    recipe = {
        "name": "vision", "model": {"from": str(model), "decoders": {"text": {"type": "text"}},
                                    "encoders": {"photo": {"type": "qwen2_5_vl"}}}, "tokenizer": "bytes",
        "data": {"sources": [{"name": "captions", "format": "media", "path": "data.jsonl",
                              "split": {"train": [0.0, 0.75], "eval": [0.75, 1.0]},
                              "sample": [{"part": "photo", "field": "image"},
                                         {"part": "text", "field": "text", "learn": True}]}]},
        "train": {"steps": 30, "packs": 2, "pack_tokens": 512, "optimizer": {"type": "adamw", "lr": 1e-3},
                  "schedule": {"type": "constant", "warmup": 0}},
        "eval": {"every": 1000}, "checkpoint": {"every": 0}, "output": "run"}
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=1))
    return folder / "recipe.json"


def patches(image, vision):
    """As Qwen2VLImageProcessor: [patches, channels · frames · patch · patch], merged patches one after the other."""
    size, merge, frames = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    pixels = ((image.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)
    rows, cols = image.shape[0] // size, image.shape[1] // size
    pixels = np.stack([pixels] * frames).reshape(frames, 3, rows // merge, merge, size, cols // merge, merge, size)
    pixels = pixels.transpose(2, 5, 3, 6, 1, 0, 4, 7).reshape(rows * cols, -1)
    return torch.from_numpy(np.ascontiguousarray(pixels)), torch.tensor([[1, rows, cols]])


def loss_of(model, indices):
    config, total, count = model.config, 0.0, 0
    merged = config.vision_config.spatial_merge_size ** 2
    for index in indices:
        image, text = picture(index)
        pixels, grid = patches(image, config.vision_config)
        before = [config.vision_start_token_id] + [config.image_token_id] * (len(pixels) // merged) + [config.vision_end_token_id]
        caption = list(text.encode())
        ids = torch.tensor([before + caption])
        kinds = {"mm_token_type_ids": (ids == config.image_token_id).int()}
        with torch.no_grad():
            logits = model(input_ids=ids, pixel_values=pixels, image_grid_thw=grid, **kinds).logits[0]
        first = len(before)  # the first byte follows the end of the image
        total += torch.nn.functional.cross_entropy(logits[first - 1:-1], ids[0, first:], reduction="sum").item()
        count += len(caption)
    return total / count


def check(name, directory, ours, count):
    model, report = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(directory, output_loading_info=True)
    problems = {k: v for k, v in report.items() if v}
    theirs = loss_of(model.eval(), range(count * 3 // 4, count))
    print(f"{name}: veomni {ours:.7f}, transformers {theirs:.7f}, difference {ours - theirs:+.1e}; loading: {problems or 'clean'}")
    return abs(ours - theirs) <= 1e-5 and not problems


def evaluated(run_directory):
    lines = [json.loads(line) for line in (run_directory / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "eval" in line][-1]["eval"]["captions"]["loss"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--program", default=shapes.ROOT / "build" / "release" / "bin" / "veomni")
    options = parser.parse_args()
    count, folder = 48, shapes.ROOT / "build" / "bench" / "vision_export"
    shutil.rmtree(folder, ignore_errors=True)
    recipe = write_recipe(options.directory.resolve(), folder, count)
    half = options.steps // 2
    run(options.program, "train", recipe, f"train.steps={half}", "--json")
    run(options.program, "train", recipe, f"train.steps={options.steps}", "--resume", "auto", "--json")
    run(options.program, "export", folder / "run", folder / "hf")
    good = check("resumed", folder / "hf", evaluated(folder / "run"), count)
    again = [f"model.from={folder / 'hf'}", f"output={folder / 'again'}"]
    run(options.program, "train", recipe, "train.steps=5", *again, "--json")
    run(options.program, "export", folder / "again", folder / "hf_again")
    good = check("exported, imported, trained, exported again", folder / "hf_again", evaluated(folder / "again"), count) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
