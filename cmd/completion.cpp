// veomni completion SHELL: a script made of the command line's own verbs and options.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/verbs.h"
#include "core/error.h"
#include "core/recipe/starter.h"
#include "core/suggest.h"

namespace veomni {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> options_of(const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

/// One `case` arm a verb. Words of verbs that take no file are listed as well.
std::string case_arms(const CLI::App& app) {
  std::string arms;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::vector<std::string> words = options_of(*verb);
    if (verb->get_name() == "new") {
      for (const std::string& kind : starter_kinds()) words.push_back(kind);
    }
    if (verb->get_name() == "completion") words.insert(words.end(), {"bash", "zsh"});
    arms += fmt::format("    {}) candidates=\"{}\" ;;\n", verb->get_name(), joined(words));
  }
  return arms;
}

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(verb->get_name());
  }
  return names;
}

std::string bash_script(const CLI::App& app) {
  return fmt::format(
      R"(# bash completion of veomni; put this line into ~/.bashrc:  source <(veomni completion bash)
_veomni() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" candidates=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{} --help --version" -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{}  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current") $(compgen -f -- "$current"))
}}
complete -o filenames -F _veomni veomni
)",
      joined(verb_names(app)), case_arms(app));
}

std::string zsh_script(const CLI::App& app) {
  return fmt::format(R"(#compdef veomni
# zsh completion of veomni; put this line into ~/.zshrc:  source <(veomni completion zsh)
_veomni() {{
  local candidates=""
  if (( CURRENT == 2 )); then
    compadd -- {} --help --version
    return
  fi
  case "${{words[2]}}" in
{}  esac
  compadd -- ${{=candidates}}
  _files
}}
compdef _veomni veomni
)",
                     joined(verb_names(app)), case_arms(app));
}

}  // namespace

void add_completion(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("completion", "print a completion script for bash or zsh");
  auto shell = std::make_shared<std::string>();
  verb->add_option("SHELL", *shell, "bash or zsh")->required();
  verb->callback([=, &app, &action] {
    action = [=, &app] {
      const bool bash = *shell == "bash";
      require<ConfigError>(bash || *shell == "zsh", "completion: unknown shell '{}'{}", *shell,
                           did_you_mean(*shell, {"bash", "zsh"}));
      fmt::print("{}", bash ? bash_script(app) : zsh_script(app));
      return 0;
    };
  });
}

}  // namespace veomni
