#pragma once
// The JSON type of the project: keys keep their order, so a resolved recipe reads like its source.

#include <nlohmann/json.hpp>

namespace veomni {
using Json = nlohmann::ordered_json;
}
