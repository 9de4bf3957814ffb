#pragma once
// Sources: records by number from files of one format, one class a format behind one interface.
// No LibTorch.
//
//   lines   a record a line, field "text"; CRLF too; empty lines are no records
//   jsonl   a JSON object a line; blank lines are no records; booleans read as 0/1, arrays of
//           integers or of strings as lists
//   csv     RFC 4180: quoted cells may hold delimiters, doubled quotes and line ends; CRLF too.
//           Names come from the first line or from `columns`. Blank cells and those equal to one of
//           `missing` are missing
//   idx     MNIST's format: unsigned bytes [N, H, W] or [N, H, W, C], field "image"; `labels` [N],
//           field "label"
//   images  a folder of one sub-folder a class: fields "image", "label" (number of the class in
//           byte order of the names), "class", "path"; files come in the order of a hash of their
//           relative path, so that any range of fractions holds every class. Or a .csv / .jsonl
//           manifest: the columns named by `images` (by default "image") hold paths relative to it
//   media   a .csv or .jsonl manifest as above, and `audio` names the columns of paths of WAV files (by default "audio")
// (`text` has no records: windows of its tokens are the samples, see token_stream.h.)
// Every file may be gzip; several paths count as one.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/data/record.h"
#include "core/recipe/recipe.h"

namespace veomni {

class Source {
 public:
  virtual ~Source() = default;
  virtual int64_t size() const = 0;  ///< records
  /// Fills `record` with the fields asked for when the source was opened, in that order, reusing
  /// its memory. Thread-safe. `pixels` false leaves images undecoded (missing), for passes that
  /// need none. Throws ConfigError naming the file.
  virtual void read(int64_t index, Record& record, bool pixels = true) const = 0;
  /// "file:line", or the file, for error lines.
  virtual std::string where(int64_t index) const = 0;
};

/// Opens and checks the files. `fields`: all that will be read. Throws ConfigError: `file:line:
/// what; what to do`.
std::unique_ptr<Source> open_source(const SourceConfig& config,
                                    const std::vector<std::string>& fields);

std::vector<std::string> source_formats();

// One function a format; open_source chooses.
std::unique_ptr<Source> open_lines(const SourceConfig&, const std::vector<std::string>& fields);
std::unique_ptr<Source> open_jsonl(const SourceConfig&, const std::vector<std::string>& fields);
std::unique_ptr<Source> open_csv(const SourceConfig&, const std::vector<std::string>& fields);
std::unique_ptr<Source> open_idx(const SourceConfig&, const std::vector<std::string>& fields);
std::unique_ptr<Source> open_images(const SourceConfig&, const std::vector<std::string>& fields);
std::unique_ptr<Source> open_media(const SourceConfig&, const std::vector<std::string>& fields);

}  // namespace veomni
