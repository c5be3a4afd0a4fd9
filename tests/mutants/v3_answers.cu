// SPDX-License-Identifier: Apache-2.0
//
// What the mutants of IPluginV3 answer TensorRT, and what a right one does: the kernel's launch is
// replaced by the one below, so that no GPU is needed.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "scale.h"

#undef MISH_MUTANT
#define MISH_MUTANT(Bug)
#define Wrong FirstShapeChange
#include "first_shape_change.cu"
#undef Wrong
#define Wrong TimingIdShared
#include "timing_id_shared.cu"
#undef Wrong
#define Wrong TacticTail
#include "tactic_tail.cu"
#undef Wrong
#define Wrong Aliased
#include "aliased.cu"
#undef Wrong

using mutant::Desc;
using mutant::Plugin;
using Counts = std::vector<std::int64_t>;
using Tactics = std::vector<std::int32_t>;

static int failures = 0;

#define EXPECT(condition)                                                 \
  do {                                                                    \
    if (!(condition)) {                                                   \
      ++failures;                                                         \
      std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                     \
  } while (false)

extern "C" nvinfer1::ILogger* getLogger() noexcept { return nullptr; }

static Counts launched;
static bool in_place = false;
static cudaError_t launch_status = cudaSuccess;

namespace mish {
cudaError_t launch_mish(Type, const void* x, void* y, std::int64_t count, cudaStream_t) noexcept {
  launched.push_back(count);
  in_place = x == y;
  return launch_status;
}
}  // namespace mish

static Desc describe(std::int32_t rows, std::int32_t columns) {
  Desc desc{};
  desc.type = nvinfer1::DataType::kFLOAT;
  desc.format = nvinfer1::TensorFormat::kLINEAR;
  desc.dims.nbDims = 2;
  desc.dims.d[0] = rows;
  desc.dims.d[1] = columns;
  return desc;
}

// A plugin as a context has it; `tactic` is the one of its plan.
template <class Bug>
struct InContext {
  explicit InContext(std::int32_t tactic = 0) {
    plan.setTactic(tactic);
    own = static_cast<Plugin<Bug>*>(plan.attachToContext(nullptr));
  }
  ~InContext() { delete own; }

  // What is launched for a shape.
  Counts run(std::int32_t rows, std::int32_t columns) {
    const Desc desc = describe(rows, columns);
    static float memory[2];
    const void* inputs[] = {memory};
    void* outputs[] = {memory + 1};
    launched.clear();
    own->onShapeChange(&desc, 1, &desc, 1);
    status = own->enqueue(&desc, &desc, inputs, outputs, nullptr, nullptr);
    return launched;
  }

  Plugin<Bug> plan;
  Plugin<Bug>* own;
  std::int32_t status = -1;
};

template <class Bug>
static Tactics tactics_of(Plugin<Bug>& plugin) {
  Tactics found(plugin.getNbTactics());
  EXPECT(plugin.getValidTactics(found.data(), plugin.getNbTactics()) == 0);
  return found;
}

template <class Bug>
static void check_plain(std::int32_t aliased, std::int32_t version) {
  Plugin<Bug> plugin;
  EXPECT(tactics_of(plugin) == Tactics{});
  EXPECT(plugin.getTimingCacheID() == nullptr);
  EXPECT(plugin.getAliasedInput(0) == aliased);
  auto* build = plugin.getCapabilityInterface(nvinfer1::PluginCapabilityType::kBUILD);
  const auto said = static_cast<nvinfer1::IPluginV3OneBuild*>(build)->getInterfaceInfo();
  EXPECT(std::string(said.kind) == "PLUGIN_V3ONE_BUILD" && said.major == version);
}

static void check_first_shape_change() {
  InContext<mutant::FirstShapeChange> vectors, each;
  EXPECT(vectors.run(64, 64) == Counts{4096});
  EXPECT(vectors.run(1, 3) == Counts{0});
  EXPECT(vectors.run(7, 99) == Counts{692});
  EXPECT(each.run(7, 99) == Counts{693});
  EXPECT(each.run(64, 64) == Counts{4096});
}

static void check_timing_id_shared() {
  Plugin<mutant::TimingIdShared> one, other;
  other.bug.scale = 0.75F;
  EXPECT(tactics_of(one) == (Tactics{1, 2}));
  EXPECT(tactics_of(other) == (Tactics{2, 3}));
  EXPECT(std::string(one.getTimingCacheID()) == other.getTimingCacheID());
}

static void check_tactic_tail() {
  InContext<mutant::TacticTail> each{1}, vectors{2};
  EXPECT(tactics_of(each.plan) == (Tactics{1, 2}));
  EXPECT(each.run(1, 10007) == Counts(16, 10007));
  EXPECT(vectors.run(1, 10007) == Counts{10004});
  EXPECT(vectors.run(256, 256) == Counts{65536});
  launch_status = cudaErrorLaunchFailure;
  EXPECT(each.run(1, 10007) == Counts{10007} && each.status == cudaErrorLaunchFailure);
  launch_status = cudaSuccess;
}

static void check_aliased() {
  InContext<mutant::Aliased> aliased;
  EXPECT(aliased.run(7, 99) == Counts{693} && in_place);
  InContext<mutant::Mish> right;
  EXPECT(right.run(7, 99) == Counts{693} && !in_place && right.status == 0);
}

int main() {
  check_plain<mutant::Mish>(-1, 1);
  check_plain<mutant::Scaled>(-1, 1);
#if NV_TENSORRT_MAJOR > 10 || NV_TENSORRT_MINOR >= 3
  check_plain<mutant::Aliased>(0, 2);
  Plugin<mutant::Aliased> aliased;
  EXPECT(static_cast<nvinfer1::IPluginV3OneBuildV2&>(aliased).getAliasedInput(0) == 0);
#endif
  check_first_shape_change();
  check_timing_id_shared();
  check_tactic_tail();
  check_aliased();
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
