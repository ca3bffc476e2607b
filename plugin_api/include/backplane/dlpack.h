/* SPDX-License-Identifier: Apache-2.0
 *
 * backplane/dlpack.h - tensors lent between libraries of one process: the layout of DLPack 1.x, under its public names, as
 * far as Backplane uses it (https://dmlc.github.io/dlpack).
 *
 * A program may include DLPack's own header, 1.0 or newer, before or after this one: whichever comes first defines the
 * types, and the other one is skipped.
 *
 * Whoever makes a managed tensor keeps its memory until the receiver calls `deleter` (once, from any thread). A
 * receiver that meets another major version looks at nothing but `deleter`.
 */
#if defined(DLPACK_DLPACK_H_)
#if !defined(DLPACK_MAJOR_VERSION) || DLPACK_MAJOR_VERSION < 1
#error "backplane/dlpack.h needs DLPack 1.0 or newer; include it before an older dlpack.h, or update that one"
#endif
#else
#define DLPACK_DLPACK_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DLPACK_MAJOR_VERSION 1
#define DLPACK_MINOR_VERSION 0

typedef struct { /* a receiver understands its own major version only */
  uint32_t major;
  uint32_t minor;
} DLPackVersion;

typedef enum { /* where memory lies; numbers that are missing here belong to others */
  kDLCPU = 1,
  kDLCUDA = 2,
  kDLCUDAHost = 3, /* page-locked */
  kDLOpenCL = 4,
  kDLVulkan = 7,
  kDLMetal = 8,
  kDLVPI = 9,
  kDLROCM = 10,
  kDLROCMHost = 11,
  kDLExtDev = 12,
  kDLCUDAManaged = 13,
  kDLOneAPI = 14,
  kDLWebGPU = 15,
  kDLHexagon = 16,
  kDLMAIA = 17
} DLDeviceType;

typedef struct {
  DLDeviceType device_type;
  int32_t device_id; /* as that API counts; 0 for kDLCPU */
} DLDevice;

typedef enum {
  kDLInt = 0U,
  kDLUInt = 1U,
  kDLFloat = 2U,
  kDLOpaqueHandle = 3U,
  kDLBfloat = 4U,
  kDLComplex = 5U,
  kDLBool = 6U,
  kDLFloat8_e4m3fn = 10U,
  kDLFloat8_e5m2 = 12U
} DLDataTypeCode;

typedef struct {
  uint8_t code;   /* DLDataTypeCode */
  uint8_t bits;   /* of one lane */
  uint16_t lanes; /* 1: a plain number */
} DLDataType;

typedef struct {
  void* data; /* NULL where there are no elements */
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;     /* in elements; NULL: row-major without gaps */
  uint64_t byte_offset; /* from `data` to element (0, ..., 0) */
} DLTensor;

typedef struct DLManagedTensor { /* DLPack before 1.0: has no version and cannot say that memory is not to be written */
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(struct DLManagedTensor* self);
} DLManagedTensor;

#define DLPACK_FLAG_BITMASK_READ_ONLY (1UL << 0UL) /* the receiver must not write */
#define DLPACK_FLAG_BITMASK_IS_COPIED (1UL << 1UL) /* a copy made for the receiver, who alone has it */

typedef struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(struct DLManagedTensorVersioned* self);
  uint64_t flags; /* DLPACK_FLAG_BITMASK_* */
  DLTensor dl_tensor;
} DLManagedTensorVersioned;

#ifdef __cplusplus
}
#endif
#endif /* DLPACK_DLPACK_H_ */
