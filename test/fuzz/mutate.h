#pragma once
// Damage to bytes: flipped bits, numbers made huge, pieces cut, doubled, moved between inputs.

#include <random>
#include <string>
#include <vector>

namespace veomni::fuzz {

class Mutator {
 public:
  Mutator(uint64_t seed, std::vector<std::string> words)
      : random_(seed), words_(std::move(words)) {}

  /// One to six changes of `bytes`; `other` lends pieces.
  std::string mutate(std::string bytes, const std::string& other);
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

 private:
  void change(std::string& bytes, const std::string& other);
  void overwrite_number(std::string& bytes);  ///< binary, 1 to 8 bytes, either byte order
  void replace_digits(std::string& bytes);    ///< decimal
  void move_token(std::string& bytes, const std::string& other);  ///< between JSON's marks
  void flip(std::string& bytes);
  void insert(std::string& bytes, const std::string& piece);
  void erase(std::string& bytes);
  std::string piece_of(const std::string& bytes);

  std::mt19937_64 random_;
  std::vector<std::string> words_;
};

}  // namespace veomni::fuzz
