// SPDX-License-Identifier: Apache-2.0
// A convolution with filters of one tap that moves in steps of one is a matrix product as the data lies:
//
//   y[image]  (o x positions) = w (o x c)    x[image] (c x positions)
//   dx[image] (c x positions) = w^T (c x o)  dy[image] (o x positions)
//   dw        (o x c)         = dy (o x positions) x^T (positions x c), of a single image
//
// MATMUL's implementations serve it, and split one image over the threads by positions: each then reads its own part of
// the input once, where a split by channels has every thread read all of it.
// Not here: groups, and epilogues, which vary along o where MATMUL's vary along its columns.
#include "convolution.h"
#include "matmul.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

/// The product's operands are the operation's two inputs, the second one first.
class Product final : public Work {
 public:
  explicit Product(WorkPtr matmul) : matmul_(std::move(matmul)) { workspace = matmul_->workspace; }
  void run(const Args& args) const override {
    char* const in[] = {args.in[1], args.in[0]};
    matmul_->run({in, args.out, args.workspace});
  }

 private:
  WorkPtr matmul_;
};

/// [images, channels, positions]; false when the spatial axes have gaps between them.
bool flatten(const bp_tensor_desc& desc, bp_tensor_desc& flat) {
  flat = {};
  flat.dtype = desc.dtype, flat.rank = 3;
  for (int i = 0; i < 2; ++i) flat.shape[i] = desc.shape[i], flat.strides[i] = desc.strides[i];
  flat.shape[2] = flat.strides[2] = 1;
  for (uint32_t i = desc.rank; i-- > 2;) {
    if (desc.shape[i] == 1) continue;
    if (flat.shape[2] == 1) flat.strides[2] = desc.strides[i];
    else if (desc.strides[i] != flat.strides[2] * flat.shape[2]) return false;
    flat.shape[2] *= desc.shape[i];
  }
  return true;
}
bp_tensor_desc transposed(bp_tensor_desc desc) {
  std::swap(desc.shape[1], desc.shape[2]);
  std::swap(desc.strides[1], desc.strides[2]);
  return desc;
}
/// The filters as one matrix for every image.
bp_tensor_desc filters(const bp_tensor_desc& w, int64_t images) {
  bp_tensor_desc desc{};
  desc.dtype = w.dtype, desc.rank = 3;
  desc.shape[0] = images, desc.shape[1] = w.shape[0], desc.shape[2] = w.shape[1];
  desc.strides[1] = w.strides[0], desc.strides[2] = w.strides[1];
  return desc;
}

bool one_tap(const ConvolutionProblem& p) {
  for (int i = 0; i < 3; ++i) {
    if (p.stride[i] != 1 || p.pad[i] != 0 || p.in[i] != p.out[i]) return false;
  }
  return p.taps() == 1 && p.groups == 1;
}

}  // namespace

void list_onednn_product(const Op& op, Candidates& out) {
  const ConvolutionProblem p(op);
  const bool filter = op.code == BP_OP_CONVOLUTION_GRAD_FILTER;
  bp_tensor_desc x, y;
  if (op.program || !one_tap(p) || (filter && p.n != 1) || !flatten(p.x, x) || !flatten(p.y, y)) return;
  const bp_tensor_desc w = filters(p.w, p.n);
  Op product;
  product.code = BP_OP_MATMUL;
  product.math_mode = op.math_mode, product.deterministic = op.deterministic, product.max_workspace = op.max_workspace;
  if (op.code == BP_OP_CONVOLUTION) product.in = {w, x}, product.out = {y};
  else if (filter) product.in = {y, transposed(x)}, product.out = {w};
  else product.in = {transposed(w), y}, product.out = {x};
  Candidates found;
  list_onednn_matmul(product, found);
  // Where there is an image for every thread the convolution's own kernels share them just as well.
  const double factor = p.n < thread_count() ? 0.85 : 1.0;
  for (Candidate& c : found) {
    if (c.name.find("packed") != std::string::npos) continue;  // packs the images, not the filters
    c.name += c.name.find('@') == std::string::npos ? "@as=product" : ",as=product";
    c.prior *= factor;
    c.build = [build = c.build] { return std::make_shared<Product>(build()); };
    out.push_back(std::move(c));
  }
}

}  // namespace backplane::cpu
