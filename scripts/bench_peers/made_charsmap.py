"""SentencePiece models with normalization rules, trained by the library `sentencepiece`: where test/core/charsmap_cases.json comes from.
   made_charsmap.py TEXT FILE      run by hand with the Python of VEOMNI_DEPS/venv-peers and `pip install sentencepiece`"""
import base64
import io
import json
import pathlib
import sys
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Regex, Tokenizer, decoders, models, normalizers as n, pre_tokenizers as p

# source → target, in hexadecimal: letters, a ligature, marks in one and in two rules, spaces, something that goes, one that grows
RULES = {"41": "61", "C4": "E4", "FB01": "66 69", "61 308": "E4", "65 301": "E9", "301": "", "3000": "20", "9": "20", "A": "20", "200B": "", "2460": "31",
         "48 65": "78", "FF21": "61", "1F999": "6C", "BD": "31 2044 32", "1100 1161": "AC00", "D4DB": "7A"}
TEXTS = ["", " ", "Hello  world!", "\u00c4pfel A\u0308 a\u0308 e\u0301 x\u0301\u0308", "\ufb01sh\u3000\uff21BC\tend\n", "\u2460\u00bd\u200b \U0001f999\u200d\U0001f680", "He Hehe hE",
         "\u1100\u1161\u11a8 \uac00", "\u2581a  \u2581b ", "plain ascii text", "a\u0300\u0301\u0302 e\u0300\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u0e01\u0e33"]


def train(text, folder, kind):
    rules = folder / "rules.tsv"
    rules.write_text("".join(f"{a}\t{b}\n" for a, b in RULES.items()))
    lines = [line.strip()[:400] for line in pathlib.Path(text).read_text().split("\n") if line.strip()][:200]
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=120, hard_vocab_limit=False, model_type=kind, character_coverage=0.99,
                                   normalization_rule_tsv=str(rules), minloglevel=2, num_threads=1)
    return model.getvalue()


def converted(message):
    """T5's way (transformers, convert_slow_tokenizer.py): Precompiled, runs of spaces, Metaspace, Unigram."""
    tokenizer = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in message.pieces], unk_id=0))
    tokenizer.normalizer = n.Sequence([n.Precompiled(message.normalizer_spec.precompiled_charsmap), n.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = p.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def main():
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("unigram", "bpe"):
            model = train(sys.argv[1], pathlib.Path(folder), kind)
            library = spm.SentencePieceProcessor(model_proto=model)
            cases.append({"name": f"sentencepiece {kind}", "model": base64.b64encode(model).decode(),
                          "cases": [{"text": text, "ids": library.encode(text)} for text in TEXTS]})
            if kind == "unigram":
                message = proto.ModelProto.FromString(model)
                package = converted(message)
                cases.append({"name": "tokenizers unigram", "tokenizer": json.loads(package.to_str()), "cases": [
                    {"text": text, "ids": package.encode(text).ids, "normalized": package.normalizer.normalize_str(text)} for text in TEXTS]})
    nmt = n.Nmt()
    texts = ["".join(map(chr, range(0, 0xA0))), "\u1680a\u200bb\u200f\u2028\u2029\u2581\ufeff\ufffd\u00ad\u3000"]
    cases.append({"name": "nmt", "cases": [{"text": text, "normalized": nmt.normalize_str(text)} for text in texts]})
    pathlib.Path(sys.argv[2]).write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


main()
