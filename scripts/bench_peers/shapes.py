"""The shapes that are measured: the recipe each comes from, and what is changed in it."""
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Sizes as in Hugging Face's config.json. `recipe` wins where the two differ: see check().
SHAPES = {
    "nano": {
        "recipe": "recipes/text/shakespeare.json", "keep_recipe": True, "context": 64, "batch": 12,
        "base": {"family": "llama", "hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 4,
                 "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32}},
    "small": {
        "recipe": "recipes/text/shakespeare.json", "keep_recipe": False, "context": 256, "batch": 8,
        "base": {"family": "llama", "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6,
                 "num_attention_heads": 6, "num_key_value_heads": 6, "head_dim": 64}},
    "moe": {
        "recipe": "recipes/text/moe.json", "keep_recipe": True, "context": 64, "batch": 12,
        "base": {"family": "qwen3_moe", "hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 4,
                 "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32, "num_experts": 8,
                 "num_experts_per_tok": 2, "moe_intermediate_size": 128}},
}
# Shapes that need a GPU; their MoE is Qwen3's layer, narrow.
GPU_SHAPES = {
    "gpu-dense": {
        "recipe": "recipes/text/shakespeare.json", "keep_recipe": False, "context": 2048, "batch": 16, "packs": 2,
        "base": {"family": "llama", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 16,
                 "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 64}},
    "gpu-moe": {
        "recipe": "recipes/text/moe.json", "keep_recipe": False, "context": 2048, "batch": 8, "packs": 2,
        "base": {"family": "qwen3_moe", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8,
                 "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 64, "num_experts": 32,
                 "num_experts_per_tok": 4, "moe_intermediate_size": 512}},
}
VOCABULARY = 65  # characters of tinyshakespeare
SIZES = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
         "head_dim", "num_experts", "num_experts_per_tok", "moe_intermediate_size"]


def name_on_gpu(name):
    return name in GPU_SHAPES


def read_recipe(path):
    """A recipe, whose JSON may hold // comments."""
    text = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*', lambda m: m[1] or "", pathlib.Path(path).read_text())
    return json.loads(text)


def shipped_recipe(name):
    """The recipe that a shape comes from, its text named by an absolute path."""
    path = ROOT / (SHAPES | GPU_SHAPES)[name]["recipe"]
    recipe = read_recipe(path)
    source = source_of(recipe)
    source["path"] = str((path.parent / source["path"]).resolve())
    return recipe


def source_of(recipe):
    return recipe["data"]["sources"][0]


def resolve(name):
    """The shape `name`; where the recipe decides the shape, with the recipe's sizes. Absent recipes leave the table's."""
    shape = dict((SHAPES | GPU_SHAPES)[name], name=name, vocabulary=VOCABULARY)
    path = ROOT / shape["recipe"]
    if not path.exists() or not shape["keep_recipe"]:
        return shape
    recipe = read_recipe(path)
    base = recipe["model"]["base"]
    heads = base.get("num_attention_heads", shape["base"]["num_attention_heads"])
    shape["base"] = {"num_key_value_heads": heads, "head_dim": base["hidden_size"] // heads, **base}
    shape["context"] = source_of(recipe).get("sample_tokens", recipe["train"]["pack_tokens"])
    shape["batch"] = recipe["train"]["packs"] * recipe["train"]["pack_tokens"] // shape["context"]
    return shape


def write_recipe(shape, steps, ranks, output, folder, precision="fp32"):
    """The recipe that veomni runs for `shape`: `steps` steps, no checkpoints, no evaluation before the end. Where the
    recipe does not decide, each rank gets its share of the batch in one pack."""
    recipe = shipped_recipe(shape["name"])
    source = source_of(recipe)
    if not shape["keep_recipe"]:
        recipe["model"]["base"] = dict(shape["base"])
        packs = shape.get("packs", ranks)
        recipe["train"].update(packs=packs, pack_tokens=shape["batch"] // packs * shape["context"])
        source["sample_tokens"] = shape["context"]
    recipe["train"]["steps"] = steps
    if name_on_gpu(shape["name"]):
        recipe["train"].update(device="cuda", precision=precision)
    recipe["train"].pop("epochs", None)
    recipe["eval"] = {"every": 0}
    recipe["checkpoint"] = {"every": 0}
    recipe["output"] = str(output)
    schedule = recipe["train"].get("schedule", {})
    if "warmup" in schedule:
        schedule["warmup"] = min(schedule["warmup"], steps // 2)
    target = folder / f"{shape['name']}-{ranks}.json"
    target.write_text(json.dumps(recipe, indent=1))
    return target


def check(shape, run, tokens):
    """Raises when the run that veomni did is not of this shape."""
    base = read_recipe(run / "recipe.json")["model"]["base"]
    for key in SIZES:
        wanted = shape["base"].get(key)
        if wanted and base.get(key) and base[key] != wanted:
            if key != "intermediate_size" or not shape["base"].get("num_experts"):
                raise SystemExit(f"{shape['name']}: veomni ran with {key} {base[key]}, the peers with {wanted}")
    if tokens != shape["batch"] * shape["context"]:
        raise SystemExit(f"{shape['name']}: veomni trained on {tokens} tokens a step, the peers on "
                         f"{shape['batch'] * shape['context']}")


def flops_per_token(shape):
    """Forward and backward, of matrix products and of causal attention (half of its scores), as in PaLM, appendix B."""
    base = shape["base"]
    width, heads, head = base["hidden_size"], base["num_attention_heads"], base["head_dim"]
    attention = width * head * (2 * heads + 2 * base["num_key_value_heads"])
    if base.get("num_experts"):
        feed_forward = 3 * width * base["moe_intermediate_size"] * base["num_experts_per_tok"] + width * base["num_experts"]
    else:
        feed_forward = 3 * width * base["intermediate_size"]
    layers = base["num_hidden_layers"]
    scores = layers * 6 * shape["context"] * heads * head
    return 6 * (layers * (attention + feed_forward) + width * shape["vocabulary"]) + scores
