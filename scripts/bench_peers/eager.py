"""Peer (b): Llama as someone who knows PyTorch well writes it in eager mode, without compiling. Fused q|k|v and gate|up
products, one rotation for q and k together, SDPA, F.rms_norm, fused AdamW; nothing waits for a scalar."""
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, base, eps):
        super().__init__()
        width, head = base["hidden_size"], base["head_dim"]
        self.heads, self.kv_heads, self.head, self.eps = base["num_attention_heads"], base["num_key_value_heads"], head, eps
        self.norm1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.Parameter(torch.ones(width))
        self.qkv = nn.Linear(width, (self.heads + 2 * self.kv_heads) * head, bias=False)
        self.out = nn.Linear(self.heads * head, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * base["intermediate_size"], bias=False)
        self.down = nn.Linear(base["intermediate_size"], width, bias=False)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        qkv = self.qkv(F.rms_norm(x, x.shape[-1:], self.norm1, self.eps))
        qkv = qkv.view(batch, length, -1, self.head).transpose(1, 2)
        qk, v = qkv.split([self.heads + self.kv_heads, self.kv_heads], dim=1)
        low, high = qk.chunk(2, dim=-1)
        qk = torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)
        q, k = qk.split([self.heads, self.kv_heads], dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, -1))
        gate, up = self.gate_up(F.rms_norm(x, x.shape[-1:], self.norm2, self.eps)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class EagerLlama(nn.Module):
    def __init__(self, base, vocabulary, context):
        super().__init__()
        self.eps = base.get("rms_norm_eps", 1e-6)
        self.embedding = nn.Embedding(vocabulary, base["hidden_size"])
        self.blocks = nn.ModuleList(Block(base, self.eps) for _ in range(base["num_hidden_layers"]))
        self.norm = nn.Parameter(torch.ones(base["hidden_size"]))
        self.head = nn.Linear(base["hidden_size"], vocabulary, bias=False)
        if base.get("tie_word_embeddings", True):
            self.head.weight = self.embedding.weight
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
        half = base["head_dim"] // 2
        theta = base.get("rope_theta", 10000.0) ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.outer(torch.arange(context, dtype=torch.float64), theta)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, ids, labels):
        """Mean loss over the labels that are not -100; labels[b, t] is the target at position t."""
        x = self.embedding(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        logits = self.head(F.rms_norm(x, x.shape[-1:], self.norm, self.eps))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1), ignore_index=-100)


def load_hugging_face(model, weights):
    """Fills an EagerLlama from tensors with the names of Hugging Face's LlamaForCausalLM. Every name must be used."""
    left = dict(weights)
    take = lambda name: left.pop(name)
    with torch.no_grad():
        model.embedding.weight.copy_(take("model.embed_tokens.weight"))
        model.norm.copy_(take("model.norm.weight"))
        if model.head.weight is model.embedding.weight:
            left.pop("lm_head.weight", None)
        else:
            model.head.weight.copy_(take("lm_head.weight"))
        for number, block in enumerate(model.blocks):
            prefix = f"model.layers.{number}."
            block.norm1.copy_(take(prefix + "input_layernorm.weight"))
            block.norm2.copy_(take(prefix + "post_attention_layernorm.weight"))
            block.qkv.weight.copy_(torch.cat([take(f"{prefix}self_attn.{p}_proj.weight") for p in "qkv"]))
            block.out.weight.copy_(take(prefix + "self_attn.o_proj.weight"))
            block.gate_up.weight.copy_(torch.cat([take(f"{prefix}mlp.{p}_proj.weight") for p in ("gate", "up")]))
            block.down.weight.copy_(take(prefix + "mlp.down_proj.weight"))
    if left:
        raise SystemExit(f"weights that the model has no place for: {', '.join(sorted(left))}")
