// tokenizer.json and SentencePiece's tokenizer.model; what is read also encodes and decodes.
#include "core/error.h"
#include "core/tokenizer/file_tokenizer.h"
#include "fuzz/targets.h"
#include "support/made_files.h"

namespace veomni::fuzz {
namespace fs = std::filesystem;
using namespace veomni::made;
namespace {

void use(const fs::path& file) {
  const FileTokenizer tokenizer(file.string());
  for (const char* text : {"ab  ab_aXb <s> été\n", "\u2581ab \U0001F600 12345", "", " "}) {
    const auto ids = tokenizer.encode_with_special_tokens(text);
    for (const int64_t id : ids)
      if (id < 0 || id >= tokenizer.vocab_size()) throw Error("an id is out of range");
    (void)tokenizer.decode(ids);
  }
}

Target json_target(const fs::path& folder) {
  const auto file = folder / "tokenizer.json";
  return {
      "tokenizer_json",
      {small_tokenizer_json(),
       R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["a",-1.5],["b",-2.0],["ab",-1.0],["▁",-3]],"byte_fallback":false},)"
       R"("normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},)"
       R"("decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Replace","pattern":{"String":"▁"},"content":" "}]}})",
       R"({"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[UNK]":0,"a":1,"##b":2,"ab":3,"12":4,"##3":5}},)"
       R"("normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},)"
       R"("pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true}})"},
      [=](const std::string& bytes) {
        write_bytes(file, bytes);
        use(file);
      },
      {},
      {"\"type\":",
       "\"ByteLevel\"",
       "\"Metaspace\"",
       "\"Split\"",
       "\"Digits\"",
       "\"Lowercase\"",
       "\"NFKC\"",
       "\"Punctuation\"",
       "\"Regex\":",
       "(a+)+$",
       "\\\\p{L}",
       "(?i:",
       "\\\\s+",
       "[^",
       "{0,65535}",
       "(((((",
       "\"\"",
       "\\ud800",
       "\xff",
       "\"byte_fallback\":true,",
       "\"ignore_merges\":true,",
       "\"MergedWithPrevious\"",
       "\"Isolated\""}};
}

Target model_target(const fs::path& folder) {
  const auto file = folder / "tokenizer.model";
  return {"tokenizer_model",
          {sentencepiece(small_pieces(), 2, identity_normalizer()),
           sentencepiece(small_pieces(), 1, identity_normalizer()),
           sentencepiece(small_pieces() + proto_piece("bb", 0, 4), 2, identity_normalizer())},
          [=](const std::string& bytes) {
            write_bytes(file, bytes);
            use(file);
          },
          {},
          {proto_piece("c", -5, 1), proto_piece("<0x41>", 0, 6), proto_varint(35, 1),
           proto_varint(3, 1), std::string("\x0a\xff\xff\xff\xff\x0f", 6), "\x80\x80\x80\x80"}};
}

}  // namespace

std::vector<Target> tokenizer_targets(const fs::path& folder) {
  return {json_target(folder), model_target(folder)};
}

}  // namespace veomni::fuzz
