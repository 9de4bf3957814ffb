// veomni new KIND [FILE]: writes a commented starter recipe.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "cmd/verbs.h"
#include "core/error.h"
#include "core/recipe/starter.h"

namespace veomni {

namespace {

void write_new_file(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  require<ConfigError>(file >= 0 || errno != EEXIST, "{}: exists already; give another file name",
                       path);
  require<ConfigError>(file >= 0, "{}: {}; give a file in a folder that exists and can be written",
                       path, std::strerror(errno));
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool closed = close(file) == 0;
  require<Error>(written && closed, "{}: {}; the file is incomplete", path, std::strerror(errno));
}

}  // namespace

void add_new(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("new", "write a commented starter recipe");
  auto kind = std::make_shared<std::string>();
  auto file = std::make_shared<std::string>();
  verb->add_option("KIND", *kind, "text, images, recommend or omni")->required();
  verb->add_option("FILE", *file, "file to write; KIND.json by default");
  verb->callback([=, &action] {
    action = [=] {
      const std::string text = starter_recipe(*kind);
      const std::string path = file->empty() ? *kind + ".json" : *file;
      write_new_file(path, text);
      fmt::print("{}: written; put your data where its paths say, then: veomni validate {}\n", path,
                 path);
      return 0;
    };
  });
}

}  // namespace veomni
