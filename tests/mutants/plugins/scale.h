// SPDX-License-Identifier: Apache-2.0
//
// A right plugin with one field, scale, 1 unless it is given: y = scale * mish(x).
#pragma once

#include "kernels.h"
#include "shell.h"

namespace mutant {

struct Scaled : Mish {
  static const Fields* fields() {
    static const nvinfer1::PluginField scale{"scale", nullptr,
                                             nvinfer1::PluginFieldType::kFLOAT32, 1};
    static const Fields one{1, &scale};
    return &one;
  }
  static bool accepts(const Fields*) { return true; }

  // The field called scale, null if it was not given.
  static const float* given(const Fields* fields) {
    for (std::int32_t i = 0; fields != nullptr && i < fields->nbFields; ++i) {
      const auto& field = fields->fields[i];
      if (std::strcmp(field.name, "scale") == 0 && field.length == 1 &&
          field.type == nvinfer1::PluginFieldType::kFLOAT32) {
        return static_cast<const float*>(field.data);
      }
    }
    return nullptr;
  }

  void created(const Fields* fields) override {
    if (const float* value = given(fields); value != nullptr) {
      scale = *value;
    }
  }
  std::string save() const override {
    return std::string(reinterpret_cast<const char*>(&scale), sizeof scale);
  }
  void load(const std::string& bytes) override {
    std::memcpy(&scale, bytes.data(), sizeof scale);
  }
  int run(const Call& call) override { return run_scaled(call, scale); }

  float scale = 1.0F;
};

}  // namespace mutant
