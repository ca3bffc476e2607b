/* SPDX-License-Identifier: Apache-2.0 */
/* The library that is absent when the plugin that needs it is loaded. */
__attribute__((visibility("default"))) int some_other_symbol(void) { return 1; }
