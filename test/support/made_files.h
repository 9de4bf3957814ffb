#pragma once
// Small files of the formats that are read, made by hand: nothing of our writers is used.

#include <bit>
#include <cstdint>
#include <string>

namespace veomni::made {

inline std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

/// A safetensors file of this header and data.
inline std::string safetensors(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

/// A tokenizer.json with at least one of everything that is read.
inline std::string small_tokenizer_json() {
  return R"({"version": "1.0", "truncation": null, "padding": null,
 "added_tokens": [{"id": 6, "content": "<s>", "special": true}, {"id": 7, "content": "<e>"}],
 "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Strip"}]},
 "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
   {"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Removed", "invert": false},
   {"type": "ByteLevel", "add_prefix_space": false}, {"type": "Metaspace", "replacement": "_"}]},
 "post_processor": {"type": "TemplateProcessing",
   "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
   "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}},
 "decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel"}, {"type": "Fuse"},
   {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
 "model": {"type": "BPE", "unk_token": "u", "fuse_unk": true,
   "vocab": {"a": 0, "b": 1, "u": 2, "ab": 3, "_": 4, "_ab": 5}, "merges": ["a b", ["_", "ab"]]}})";
}

/// A field of a protocol buffer that holds fewer than 128 bytes.
inline std::string proto_field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}
inline std::string proto_varint(int number, int value) {
  std::string tag(1, static_cast<char>((number << 3) & 0x7F));
  if (number >= 16) tag = {static_cast<char>(tag[0] | 0x80), static_cast<char>(number >> 4)};
  return tag + static_cast<char>(value);
}

// SentencePiece's tokenizer.model.
inline std::string proto_piece(const std::string& text, float score, int type) {
  return proto_field(1, proto_field(1, text) + std::string(1, 2 << 3 | 5) +
                            little_endian(std::bit_cast<uint32_t>(score), 4) +
                            proto_varint(3, type));
}
inline std::string sentencepiece(const std::string& pieces, int type,
                                 const std::string& normalizer) {
  return pieces + proto_field(2, proto_varint(3, type)) + proto_field(3, normalizer);
}
inline std::string small_pieces() {
  return proto_piece("<unk>", 0, 2) + proto_piece("<s>", 0, 3) + proto_piece("\u2581", -1, 1) +
         proto_piece("a", -2, 1) + proto_piece("b", -3, 1) + proto_piece("ab", -4, 1) +
         proto_piece("\u2581ab", -4.5, 1);
}
inline std::string identity_normalizer() { return proto_field(1, "identity") + proto_varint(4, 1); }

/// A WAVE file: its format, a chunk of odd size that no reader knows, the sound.
inline std::string wave(int code, int channels, int bits, const std::string& data,
                        uint32_t rate = 8000) {
  return "RIFF????WAVEfmt " + little_endian(16, 4) + little_endian(static_cast<uint64_t>(code), 2) +
         little_endian(static_cast<uint64_t>(channels), 2) + little_endian(rate, 4) +
         little_endian(0, 6) + little_endian(static_cast<uint64_t>(bits), 2) +
         std::string("LIST\x01\0\0\0x\0data", 14) + little_endian(data.size(), 4) + data;
}

}  // namespace veomni::made
