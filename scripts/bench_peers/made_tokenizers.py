"""Small tokenizers of every kind, trained by the Python package `tokenizers`: what scripts/bench_peers/compare_tokenizers.py compares
and where test/core/tokenizer_cases.json comes from.
   made_tokenizers.py TEXT FOLDER              writes FOLDER/<name>/tokenizer.json
   made_tokenizers.py TEXT --cases FILE        writes the test's tokenizers with the ids and texts the package gives"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers as n, pre_tokenizers as p
from tokenizers import processors, trainers

QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
TEXTS = ["", " ", "Hello world!", "  Hello,  y'all! I'LL\u00a0go\t\n\n now ", "Caf\u00e9 cafe\u0301 \u00c5ngstr\u00f6m \ufb01sh \u2460 \u0130stanbul",
         "\u4f60\u597d world \u4e16\u754c1234567 3.14", "a<mask>b <mask> c<sep>d <sep>  e[CLS] f", "don't stop -- we've 100% \u2581done\u2581\u2581",
         "\U0001f999\u200d\U0001f680 \u0928\u092e\u0938\u094d\u0924\u0947 \u0627\u0644\u0639\u0631\u0628\u064a\u0629", "x" * 40 + " ...?! \u2026 'tis the 's", "\x00\x01a\ufffdb\u00ad"]


def words(kind, vocab, **options):
    """(model, trainer) of a kind."""
    special = ["[UNK]", "[CLS]", "[SEP]"]
    if kind == "wordpiece":
        return models.WordPiece(unk_token="[UNK]", **options), trainers.WordPieceTrainer(
            vocab_size=vocab, special_tokens=special, show_progress=False)
    if kind == "unigram":
        return models.Unigram(), trainers.UnigramTrainer(
            vocab_size=vocab, special_tokens=special, unk_token="[UNK]", show_progress=False)
    alphabet = p.ByteLevel.alphabet() if options.pop("bytes", False) else []
    suffix, prefix = options.get("end_of_word_suffix"), options.get("continuing_subword_prefix")
    return models.BPE(**options), trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=special, initial_alphabet=alphabet, show_progress=False,
        **({"end_of_word_suffix": suffix} if suffix else {}), **({"continuing_subword_prefix": prefix} if prefix else {}))


def template(single="[CLS] $A [SEP]"):
    return processors.TemplateProcessing(single=single, special_tokens=[("[CLS]", 1), ("[SEP]", 2)])


def recipes():
    """name → (kind, model options, normalizer, pre-tokenizer, decoder, post-processor)"""
    split = lambda pattern, how="isolated", invert=False: p.Split(pattern, how, invert)  # noqa: E731
    meta = p.Metaspace
    byte = lambda regex=False, space=False: p.ByteLevel(add_prefix_space=space, use_regex=regex)  # noqa: E731
    bytes_bpe = ("bpe", {"bytes": True})
    return {
        "bert": ("wordpiece", {}, n.BertNormalizer(), p.BertPreTokenizer(), decoders.WordPiece(), template()),
        "bert_cased": ("wordpiece", {"max_input_chars_per_word": 20}, n.BertNormalizer(lowercase=False, strip_accents=None), p.BertPreTokenizer(),
                       decoders.WordPiece(cleanup=False), processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))),
        "wordpiece_words": ("wordpiece", {}, n.Sequence([n.NFKD(), n.StripAccents(), n.Lowercase(), n.Strip()]), p.Whitespace(), decoders.WordPiece(), None),
        "xlnet": ("unigram", {}, n.Sequence([n.NFKC(), n.Replace(Regex(" {2,}"), " ")]), meta(), decoders.Metaspace(), template("$A [SEP] [CLS]")),
        "unigram_first": ("unigram", {}, n.NFKD(), meta(prepend_scheme="first", split=False), decoders.Metaspace(prepend_scheme="first"), None),
        "unigram_never": ("unigram", {}, n.Strip(right=False), p.Sequence([p.WhitespaceSplit(), meta(prepend_scheme="never")]), None, None),
        "gpt2_small": (*bytes_bpe, None, byte(True, True), decoders.ByteLevel(), processors.RobertaProcessing(("[SEP]", 2), ("[CLS]", 1))),
        "qwen_small": (*bytes_bpe, n.NFC(), p.Sequence([split(Regex(QWEN)), byte()]), decoders.ByteLevel(), processors.ByteLevel()),
        "llama3_small": ("bpe", {"bytes": True, "ignore_merges": True}, None, p.Sequence([split(Regex(LLAMA3)), byte()]), decoders.ByteLevel(),
                         processors.Sequence([processors.ByteLevel(), template("[CLS] $A")])),
        "starcoder": (*bytes_bpe, None, p.Sequence([p.Digits(True), byte(True)]), decoders.ByteLevel(), None),
        "clip_small": ("bpe", {"bytes": True, "unk_token": "[UNK]", "end_of_word_suffix": "</w>"}, n.Sequence([n.NFC(), n.Replace(Regex(r"\s+"), " "), n.Lowercase()]),
                       p.Sequence([split(Regex(CLIP), "removed", True), byte()]), decoders.Sequence([decoders.ByteLevel(), decoders.BPEDecoder("</w>")]), None),
        "bpe_prefix": ("bpe", {"unk_token": "[UNK]", "continuing_subword_prefix": "##"}, n.NFD(), p.WhitespaceSplit(), decoders.WordPiece(), None),
        "bpe_unknown": ("bpe", {"unk_token": "[UNK]"}, None, p.Sequence([p.WhitespaceSplit(), p.Punctuation("merged_with_previous")]), None, None),
        "bpe_fused": ("bpe", {"unk_token": "[UNK]", "fuse_unk": True}, n.Prepend("\u2581"), split(" ", "merged_with_next"), decoders.Fuse(), None),
        "bpe_dropped": ("bpe", {}, None, p.Sequence([split(Regex(r"[\s.]"), "contiguous"), p.Digits(False)]), None, None),
        "bpe_previous": ("bpe", {"unk_token": "[UNK]"}, None, p.Sequence([split(Regex("[aeiou]"), "merged_with_previous"), p.Punctuation("removed")]),
                         decoders.Replace("[UNK]", "?"), None),
        "bpe_next": ("bpe", {"unk_token": "[UNK]"}, n.Lowercase(), p.Sequence([p.CharDelimiterSplit("e"), split(Regex(r"\w"), "merged_with_next", True)]), None, None),
    }


def make(name, lines, vocab):
    kind, options, normalizer, pre_tokenizer, decoder, post_processor = recipes()[name]
    model, trainer = words(kind, vocab, **options)
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(lines, trainer)
    if decoder is not None:
        tokenizer.decoder = decoder
    if post_processor is not None:
        tokenizer.post_processor = post_processor
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True), AddedToken("<sep>", rstrip=True)])
    tokenizer.add_tokens([AddedToken("tis", single_word=True), AddedToken("100%"), AddedToken("Y'all", normalized=True)])
    return tokenizer


def main():
    lines = [line for line in pathlib.Path(sys.argv[1]).read_text().split("\n") if line.strip()][:1500]
    if sys.argv[2] != "--cases":
        for name in recipes():
            folder = pathlib.Path(sys.argv[2]) / name
            folder.mkdir(parents=True, exist_ok=True)
            make(name, lines, 2000).save(str(folder / "tokenizer.json"))
        return
    cases = []
    for name in recipes():
        tokenizer = make(name, lines[:60], 320)
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
        cases.append({"name": name, "tokenizer": json.loads(tokenizer.to_str()), "cases": [
            {"text": text, "ids": one, "with_special_tokens": tokenizer.encode(text).ids,
             "decoded": tokenizer.decode(one, skip_special_tokens=False)} for text, one in zip(TEXTS, ids)]})
    pathlib.Path(sys.argv[3]).write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


main()
