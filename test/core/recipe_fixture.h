#pragma once
// What the recipe tests share: part types, a temporary folder with data files, and a recipe that
// uses everything.

#include <filesystem>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/recipe/recipe.h"

namespace veomni::test {

/// Registers the program's parts, then stand-ins for the types the tests use that the program
/// lacks. Once a process.
void ensure_specs();

/// Of a recipe that lies in /r, which holds nothing.
Recipe parse(const std::string& text, const std::vector<std::string>& overrides = {});

/// A folder of its own under the system's temporary folder, with data/book.txt, data/images.gz,
/// data/labels.gz and data/customers.csv; removed at the end.
class RecipeFolder {
 public:
  RecipeFolder();
  RecipeFolder(const RecipeFolder&) = delete;
  RecipeFolder& operator=(const RecipeFolder&) = delete;
  ~RecipeFolder();

  const std::filesystem::path& path() const { return path_; }
  /// Writes a file in the folder and returns its path.
  std::string write(const std::string& name, const std::string& text) const;
  /// Every path below the folder, to see that nothing was written.
  std::vector<std::string> listing() const;

 private:
  std::filesystem::path path_;
};

/// A valid recipe on RecipeFolder's data: text, images and customers; every section but the
/// optional ones.
std::string omni_recipe();

/// `text` with the first `from` replaced by `to`; throws when `from` is not there.
std::string replaced(std::string text, const std::string& from, const std::string& to);

/// The message of the ConfigError that `call` throws; "" when it throws none.
template <class Call>
std::string config_error(Call&& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace veomni::test
