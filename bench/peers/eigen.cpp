// SPDX-License-Identifier: Apache-2.0
// Eigen's own products, compiled for this machine's processor and on OpenMP's threads, as a user would who wants speed.
#include <Eigen/Core>

#include "peers/module.h"

namespace backplane::bench {

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class Call : public PeerCall {
 public:
  explicit Call(const Product& p) : a_(p.a, p.m, p.k), b_(p.b, p.k, p.n), c_(p.m, p.n) {}
  void enqueue() override { c_.noalias() = a_ * b_; }
  std::vector<float> output() override { return {c_.data(), c_.data() + c_.size()}; }

 private:
  Eigen::Map<const Matrix> a_, b_;
  Matrix c_;
};

class EigenPeer : public Peer {
 public:
  explicit EigenPeer(int threads) { Eigen::setNbThreads(threads); }
  std::string name() const override { return "Eigen"; }
  std::unique_ptr<PeerCall> prepare(const Case& c, const Values& values) override {
    const std::optional<Product> p = Product::of(c, values);
    return p ? std::make_unique<Call>(*p) : nullptr;
  }
};

}  // namespace

std::shared_ptr<Peer> make_eigen(int threads) { return std::make_shared<EigenPeer>(threads); }

}  // namespace backplane::bench
