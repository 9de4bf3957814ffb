#pragma once
// A whole file in memory, unpacked when it is gzip.

#include <string>

namespace veomni {

/// The file's bytes; gzip (known by its magic, of one or several members) is unpacked and its
/// checksums checked. Throws ConfigError `path: what; what to do` when it cannot be read, is a
/// folder, or is damaged or cut short.
std::string read_file_bytes(const std::string& path);

}  // namespace veomni
