"""Makes a peer and its optimizer: `hf` is Hugging Face's class of the family in a plain loop, `eager` the expert's."""
import torch
from torch import nn


class HuggingFace(nn.Module):
    """LlamaForCausalLM or Qwen3MoeForCausalLM; labels[b, t] is the target at position t, as in EagerLlama."""

    def __init__(self, base, vocabulary, context):
        super().__init__()
        import transformers
        sizes = {k: v for k, v in base.items() if k not in ("family", "balance", "router_z_loss_coef", "z_loss_coef")}
        sizes.setdefault("tie_word_embeddings", True)
        sizes.update(vocab_size=vocabulary, max_position_embeddings=max(context, 64), use_cache=False)
        sizes.setdefault("bos_token_id", None)
        sizes.setdefault("eos_token_id", None)
        if base.get("num_experts"):
            sizes.setdefault("norm_topk_prob", True)
            config = transformers.Qwen3MoeConfig(**sizes, decoder_sparse_step=1, output_router_logits=True)
            self.model = transformers.Qwen3MoeForCausalLM(config)
        else:
            self.model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes))

    def forward(self, ids, labels):
        return self.model(input_ids=ids, labels=labels, shift_labels=labels).loss


def make_model(peer, shape):
    if peer == "hf":
        return HuggingFace(shape["base"], shape["vocabulary"], shape["context"])
    from eager import EagerLlama
    return EagerLlama(shape["base"], shape["vocabulary"], shape["context"])


def make_optimizer(peer, model, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    """No decay on norms, biases and embeddings. The expert asks for the fused update, a plain loop does not."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    decayed = [p for p in model.parameters() if p.dim() > 1 and id(p) not in embeddings]
    others = [p for p in model.parameters() if p.dim() <= 1 or id(p) in embeddings]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = {"fused": True} if peer == "eager" else {}
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, **fused)


def train_step(peer, model, optimizer, ids, labels, clip=1.0):
    loss = model(ids, labels)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip, foreach=True if peer == "eager" else None)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()
