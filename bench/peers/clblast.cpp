// SPDX-License-Identifier: Apache-2.0
// CLBlast on the same OpenCL device, with its own parameters and with others set through its API: it has none for PoCL in its
// database, so its default stands for a user who installed it, the best of these for one who tuned it.
#include <CL/cl.h>
#include <clblast.h>

#include <cstdlib>
#include <map>

#include "backplane/host/error.h"
#include "peers/module.h"

namespace backplane::bench {

namespace {

using Parameters = std::unordered_map<std::string, size_t>;

void check(cl_int status, const char* what) {
  if (status != CL_SUCCESS) throw Error("[clblast] " + std::string(what) + " gave " + std::to_string(status));
}

/// "Xgemm": MDIMC x NDIMC work-items of a group compute MWG x NWG results, all other parameters as good as fixed.
struct Tiled {
  size_t mdimc, ndimc, mwg, nwg, kwg, kwi, vwm, vwn;
};
// Groups of one work-item suit PoCL best, since barriers cost it; the others are what tuners pick on small GPUs.
constexpr Tiled kTiled[] = {
    {1, 1, 16, 8, 16, 2, 8, 8},  {1, 1, 16, 8, 32, 2, 8, 8},   {1, 1, 16, 8, 32, 8, 8, 8}, {1, 1, 16, 8, 128, 2, 8, 8},
    {1, 1, 16, 4, 16, 2, 8, 4},  {1, 1, 16, 16, 32, 2, 8, 8},  {1, 1, 32, 8, 32, 2, 16, 8}, {8, 8, 64, 64, 32, 2, 4, 4},
};
/// "XgemmDirect": without copies into padded matrices.
struct Direct {
  size_t wgd, dims, kwid, vw;
};
constexpr Direct kDirect[] = {{8, 1, 2, 8}};  // PoCL takes minutes over larger unrolled ones

Parameters parameters_of(const Tiled& t) {
  return {{"GEMMK", 0},     {"KREG", 1},       {"KWG", t.kwg},     {"KWI", t.kwi}, {"MDIMA", t.mdimc}, {"MDIMC", t.mdimc},
          {"MWG", t.mwg},   {"NDIMB", t.ndimc}, {"NDIMC", t.ndimc}, {"NWG", t.nwg}, {"SA", 0},          {"SB", 0},
          {"STRM", 0},      {"STRN", 0},       {"VWM", t.vwm},     {"VWN", t.vwn}};
}
Parameters parameters_of(const Direct& d) {
  return {{"KWID", d.kwid},   {"MDIMAD", d.dims}, {"MDIMCD", d.dims}, {"NDIMBD", d.dims}, {"NDIMCD", d.dims},
          {"PADA", 0},        {"PADB", 0},        {"VWMD", d.vw},     {"VWND", d.vw},     {"WGD", d.wgd}};
}

class Call : public PeerCall {
 public:
  Call(cl_context context, cl_command_queue queue, int64_t m, int64_t n, int64_t k, const float* a, const float* b)
      : queue_(queue), m_(static_cast<size_t>(m)), n_(static_cast<size_t>(n)), k_(static_cast<size_t>(k)) {
    a_ = buffer(context, m_ * k_, a), b_ = buffer(context, k_ * n_, b), c_ = buffer(context, m_ * n_, nullptr);
  }
  ~Call() override {
    for (cl_mem memory : {a_, b_, c_}) clReleaseMemObject(memory);
  }
  void enqueue() override {
    const auto status =
        clblast::Gemm<float>(clblast::Layout::kRowMajor, clblast::Transpose::kNo, clblast::Transpose::kNo, m_, n_, k_,
                             1.0f, a_, 0, k_, b_, 0, n_, 0.0f, c_, 0, n_, &queue_);
    if (status != clblast::StatusCode::kSuccess)
      throw Error("[clblast] Gemm gave " + std::to_string(static_cast<int>(status)));
  }
  void finish() override { check(clFinish(queue_), "clFinish"); }
  std::vector<float> output() override {
    std::vector<float> values(m_ * n_);
    check(clEnqueueReadBuffer(queue_, c_, CL_TRUE, 0, values.size() * sizeof(float), values.data(), 0, nullptr, nullptr),
          "clEnqueueReadBuffer");
    return values;
  }

 private:
  static cl_mem buffer(cl_context context, size_t count, const float* values) {
    cl_int status = CL_SUCCESS;
    cl_mem memory = clCreateBuffer(context, CL_MEM_READ_WRITE | (values != nullptr ? CL_MEM_COPY_HOST_PTR : 0),
                                   count * sizeof(float), const_cast<float*>(values), &status);
    check(status, "clCreateBuffer");
    return memory;
  }
  cl_command_queue queue_;
  size_t m_, n_, k_;
  cl_mem a_, b_, c_;
};

class Clblast : public Peer {
 public:
  explicit Clblast(cl_device_id device) : device_(device) {
    cl_int status = CL_SUCCESS;
    context_ = clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &status);
    check(status, "clCreateContext");
    queue_ = clCreateCommandQueue(context_, device_, 0, &status);
    check(status, "clCreateCommandQueue");
    for (const char* kernel : {"Xgemm", "XgemmDirect", "GemmRoutine"}) {
      clblast::RetrieveParameters(device_, kernel, clblast::Precision::kSingle, usual_[kernel]);
    }
    for (const Tiled& t : kTiled) {
      sets_["Xgemm " + std::to_string(t.mdimc) + "x" + std::to_string(t.ndimc) + " of " + std::to_string(t.mwg) + "x" +
            std::to_string(t.nwg) + "x" + std::to_string(t.kwg) + "," + std::to_string(t.kwi) + " VWM=" +
            std::to_string(t.vwm)] = {"Xgemm", parameters_of(t), 1};
    }
    for (const Direct& d : kDirect) {
      sets_["XgemmDirect " + std::to_string(d.dims) + "x" + std::to_string(d.dims) + " of " + std::to_string(d.wgd) +
            " VW=" + std::to_string(d.vw)] = {"XgemmDirect", parameters_of(d), size_t{1} << 40};
    }
  }
  std::string name() const override { return "CLBlast"; }
  bool does(const Case& c) const override { return Product::is_one(c); }
  std::unique_ptr<PeerCall> prepare(const Case& c, const Values& values) override {
    const std::optional<Product> p = Product::of(c, values);
    return p ? std::make_unique<Call>(context_, queue_, p->m, p->n, p->k, p->a, p->b) : nullptr;
  }
  std::vector<std::string> settings() const override {
    std::vector<std::string> names = {"default"};
    for (const auto& set : sets_) names.push_back(set.first);
    return names;
  }
  void use(const std::string& setting) override {
    for (const auto& [kernel, parameters] : usual_) set(kernel, parameters);
    const auto found = sets_.find(setting);
    if (found == sets_.end()) return;
    set(found->second.kernel, found->second.parameters);
    Parameters routine = usual_["GemmRoutine"];
    for (auto& [name, value] : routine) value = found->second.least_for_tiles;  // its one parameter
    set("GemmRoutine", routine);
  }

 private:
  struct Set {
    std::string kernel;
    Parameters parameters;
    size_t least_for_tiles;  ///< XGEMM_MIN_INDIRECT_SIZE: from where on "Xgemm" is used
  };
  void set(const std::string& kernel, const Parameters& parameters) {
    const auto status = clblast::OverrideParameters(device_, kernel, clblast::Precision::kSingle, parameters);
    if (status != clblast::StatusCode::kSuccess)
      throw Error("[clblast] OverrideParameters(" + kernel + ") gave " + std::to_string(static_cast<int>(status)));
  }
  cl_device_id device_;
  cl_context context_ = nullptr;  // to the end of the process, like every driver's
  cl_command_queue queue_ = nullptr;
  std::map<std::string, Parameters> usual_;
  std::map<std::string, Set> sets_;
};

}  // namespace

std::shared_ptr<Peer> make_clblast(const host::DevicePtr& device) {
  if (device->plugin_name() != "opencl" || device->interop() == nullptr) return nullptr;
  void* id = nullptr;
  bp_error error = host::make_error();
  if (device->interop()->native(device->handle(), BP_NATIVE_DEVICE, &id, &error) < 0) throw Error(error.message);
  return std::make_shared<Clblast>(static_cast<cl_device_id>(id));
}

}  // namespace backplane::bench
