// SPDX-License-Identifier: Apache-2.0
#include "buckets.h"

#include "backplane/optim/optimizer.h"

namespace backplane::parallel {

using optim::in_dtype;

Buckets::Buckets(std::vector<Type> types, int64_t bytes) : types_(std::move(types)) {
  for (const Type& type : types_) {
    const DType dtype = is_half(type.dtype) ? f32 : type.dtype;
    const int64_t most = bytes / size_of(dtype);
    size_t open = 0;
    while (open < buckets_.size() &&
           (buckets_[open].dtype != dtype || buckets_[open].elements + type.elements() > most)) {
      ++open;
    }
    if (open == buckets_.size()) buckets_.push_back({dtype, 0});
    places_.push_back({open, buckets_[open].elements});
    buckets_[open].elements += type.elements();
  }
}

std::vector<Tensor> Buckets::pack(std::span<const Tensor> tensors, const Tensor& factor) const {
  std::vector<std::vector<Tensor>> pieces(buckets_.size());
  for (size_t i = 0; i < types_.size(); ++i) {
    const DType dtype = buckets_[places_[i].bucket].dtype;
    pieces[places_[i].bucket].push_back(
        reshape(in_dtype(tensors[i], dtype, Here(SourceLoc{})), {types_[i].elements()}));
  }
  std::vector<Tensor> packed;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const Tensor whole = pieces[b].size() == 1 ? pieces[b].front() : concat(pieces[b], 0);
    packed.push_back(factor.defined() ? whole * in_dtype(factor, buckets_[b].dtype, Here(SourceLoc{})) : whole);
  }
  return packed;
}

std::vector<Tensor> Buckets::unpack(std::span<const Tensor> buckets) const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < types_.size(); ++i) {
    const Place& place = places_[i];
    const Tensor piece = slice(buckets[place.bucket], 0, place.begin, place.begin + types_[i].elements());
    tensors.push_back(in_dtype(reshape(piece, types_[i].shape), types_[i].dtype, Here(SourceLoc{})));
  }
  return tensors;
}

std::vector<Tensor> Buckets::zeros() const {
  std::vector<Tensor> all;
  for (const Bucket& bucket : buckets_) all.push_back(backplane::zeros({bucket.elements}, bucket.dtype));
  return all;
}

}  // namespace backplane::parallel
