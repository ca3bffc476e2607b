/* SPDX-License-Identifier: Apache-2.0 */
/* A library that is no plugin: HAVE_DATA exports the right name as data, HAVE_IMPORT needs a symbol that nobody has,
 * HAVE_LIBRARY one of a library that will not be there. */
int some_other_symbol(void);
#if defined(HAVE_DATA)
__attribute__((visibility("default"))) int backplane_plugin_v1 = 42;
#elif defined(HAVE_IMPORT) || defined(HAVE_LIBRARY)
__attribute__((visibility("default"))) int backplane_plugin_v1(void) { return some_other_symbol(); }
#else
__attribute__((visibility("default"))) int backplane_plugin_v2(void) { return 0; }
#endif
