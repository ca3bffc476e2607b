// SPDX-License-Identifier: Apache-2.0
// Captured mode: `auto step = compile(train_step);` traces the function once per signature of its arguments and runs an
// optimised plan from then on. Variables may be read and assigned inside; other tensors from outside are constants.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "backplane/tensor.h"

namespace backplane {

namespace graph {
struct Explanation;
}

/// The type-erased half of compile().
class CompiledFunction {
 public:
  using Function = std::function<std::vector<Tensor>(std::span<const Tensor>)>;
  explicit CompiledFunction(Function function);
  ~CompiledFunction();
  CompiledFunction(CompiledFunction&&) noexcept;
  CompiledFunction& operator=(CompiledFunction&&) noexcept;

  std::vector<Tensor> run(std::span<const Tensor> arguments, Here here = {});
  size_t traces() const;        ///< how many signatures have been traced
  std::string explain() const;  ///< table for the latest plan: what runs where, and why
  std::vector<graph::Explanation> explanations() const;  ///< the same as data (backplane/graph/plan.h)
  /// Launches of the latest plan: on the device, and on the host fallback.
  std::pair<size_t, size_t> node_counts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <class F>
class Compiled {
 public:
  explicit Compiled(F function) : function_(erase(std::move(function))) {}

  template <class... Args>
    requires(std::is_convertible_v<Args, Tensor> && ...)
  auto operator()(const Args&... args) {
    const std::vector<Tensor> arguments{Tensor(args)...};
    std::vector<Tensor> results = function_.run(arguments);
    using Result = std::invoke_result_t<F, std::conditional_t<true, Tensor, Args>...>;
    if constexpr (std::is_same_v<Result, Tensor>) {
      return results.front();
    } else if constexpr (!std::is_void_v<Result>) {
      return results;
    }
  }
  size_t traces() const { return function_.traces(); }
  std::string explain() const { return function_.explain(); }
  std::vector<graph::Explanation> explanations() const { return function_.explanations(); }
  std::pair<size_t, size_t> node_counts() const { return function_.node_counts(); }

 private:
  template <class G, size_t... I>
  static std::vector<Tensor> call(G& function, std::span<const Tensor> args, std::index_sequence<I...>) {
    using Result = decltype(function(args[I]...));
    if constexpr (std::is_void_v<Result>) {
      function(args[I]...);
      return {};
    } else if constexpr (std::is_same_v<Result, Tensor>) {
      return {function(args[I]...)};
    } else {
      return function(args[I]...);
    }
  }
  template <size_t N = 0, class G>
  static std::vector<Tensor> call_with(G& function, std::span<const Tensor> args) {
    if constexpr (N > 8) {
      throw Error("[compile] a compiled function takes at most 8 tensors");
    } else if constexpr (invocable<G, N>) {
      if (args.size() == N) return call(function, args, std::make_index_sequence<N>{});
      return call_with<N + 1>(function, args);
    } else {
      return call_with<N + 1>(function, args);
    }
  }
  template <class G, size_t N>
  static constexpr bool invocable = []<size_t... I>(std::index_sequence<I...>) {
    return std::is_invocable_v<G&, std::conditional_t<(I >= 0), const Tensor&, void>...>;
  }(std::make_index_sequence<N>{});

  static CompiledFunction erase(F function) {
    auto shared = std::make_shared<F>(std::move(function));
    return CompiledFunction([shared](std::span<const Tensor> args) { return call_with(*shared, args); });
  }
  CompiledFunction function_;
};

/// `function` takes tensors and returns void, a Tensor or a std::vector<Tensor>.
template <class F>
Compiled<F> compile(F function) {
  return Compiled<F>(std::move(function));
}

}  // namespace backplane
