// SPDX-License-Identifier: Apache-2.0
// Stands behind a kernel's text: calls bp_main with arguments given by address, as cuLaunchKernel gets them.

template <int... I>
struct BpEmulatedNumbers {};
template <class... A, int... I>
inline void bp_emulated_call(void (*kernel)(A...), void** arguments, BpEmulatedNumbers<I...>) {
  kernel(*static_cast<A*>(arguments[I])...);
}
template <class... A>
inline void bp_emulated_call(void (*kernel)(A...), void** arguments) {
  bp_emulated_call(kernel, arguments, BpEmulatedNumbers<__integer_pack(sizeof...(A))...>{});
}
extern "C" __attribute__((visibility("default"))) void bp_emulated_main(EmulatedThread* self, void** arguments) {
  bp_emulated_thread = self;
  bp_emulated_call(bp_main, arguments);
}
template <class... A>
inline int bp_emulated_sizes_of(void (*)(A...), int* sizes) {
  const int all[] = {static_cast<int>(sizeof(A))..., 0};
  for (int i = 0; sizes != nullptr && i < static_cast<int>(sizeof...(A)); ++i) sizes[i] = all[i];
  return sizeof...(A);
}
/// The number of arguments; their sizes go to `sizes` unless it is null.
extern "C" __attribute__((visibility("default"))) int bp_emulated_sizes(int* sizes) {
  return bp_emulated_sizes_of(bp_main, sizes);
}
