// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>

#include "peers/module.h"

// Of OpenBLAS itself; its header lies in a folder that CMake may not know.
extern "C" void openblas_set_num_threads(int threads);

namespace backplane::bench {

namespace {

class Call : public PeerCall {
 public:
  explicit Call(const Product& product) : p_(product), c_(static_cast<size_t>(product.m * product.n)) {}
  void enqueue() override {
    const auto m = static_cast<int>(p_.m), n = static_cast<int>(p_.n), k = static_cast<int>(p_.k);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, p_.a, k, p_.b, n, 0, c_.data(), n);
  }
  std::vector<float> output() override { return c_; }

 private:
  Product p_;
  std::vector<float> c_;
};

class Openblas : public Peer {
 public:
  explicit Openblas(int threads) { openblas_set_num_threads(threads); }
  std::string name() const override { return "OpenBLAS"; }
  std::unique_ptr<PeerCall> prepare(const Case& c, const Values& values) override {
    const std::optional<Product> p = Product::of(c, values);
    return p ? std::make_unique<Call>(*p) : nullptr;
  }
};

}  // namespace

std::shared_ptr<Peer> make_openblas(int threads) { return std::make_shared<Openblas>(threads); }

}  // namespace backplane::bench
