// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <thread>

namespace backplane::vulkan {
namespace {

constexpr const char* kLayer = "VK_LAYER_KHRONOS_validation";

[[noreturn]] void unavailable(const std::string& why) { throw sdk::Failure(BP_E_UNAVAILABLE, why); }

/// Messages of the validation layer become errors and warnings of the host's log.
VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                          VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void* host) {
  const int32_t level = severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT ? BP_LOG_ERROR : BP_LOG_WARNING;
  static_cast<const sdk::Host*>(host)->log(level, "vulkan.validation", data->pMessage);
  return VK_FALSE;
}

template <class T, class Enumerate>
std::vector<T> enumerate(const char* what, Enumerate call) {
  uint32_t count = 0;
  VkResult result = VK_INCOMPLETE;
  std::vector<T> items;
  while (result == VK_INCOMPLETE) {  // the number may grow between two calls
    check_result(call(&count, static_cast<T*>(nullptr)), what);
    items.resize(count);
    result = call(&count, items.data());
    check_result(result, what);
    items.resize(count);
  }
  return items;
}

}  // namespace

bool Adapter::has(const char* extension) const {
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

bool Adapter::unified() const {
  if (is_cpu()) return true;
  if (properties.deviceType != VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU) return false;
  for (uint32_t heap = 0; heap < memory.memoryHeapCount; ++heap) {
    if ((memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0) return false;
  }
  return true;
}

uint64_t Adapter::device_memory() const {
  uint64_t bytes = 0;
  for (uint32_t heap = 0; heap < memory.memoryHeapCount; ++heap) {
    if ((memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0) bytes += memory.memoryHeaps[heap].size;
  }
  return bytes;
}

Driver::Driver(const sdk::Host& host) : host_(host) {
  open_loader();
  create_instance();
  list_adapters();
}

Driver::~Driver() {
  if (messenger_ != VK_NULL_HANDLE) api_.DestroyDebugUtilsMessengerEXT(instance_, messenger_, nullptr);
  if (instance_ != nullptr) api_.DestroyInstance(instance_, nullptr);
  // The loader stays: drivers keep threads and exit handlers.
}

void Driver::open_loader() {
  const std::string file = host_.config("vulkan.loader").value_or("libvulkan.so.1");
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    unavailable("no Vulkan loader (" + std::string(why != nullptr ? why : file) + "); install libvulkan1");
  }
  global_.GetInstanceProcAddr = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
  if (global_.GetInstanceProcAddr == nullptr)
    unavailable(file + " is not a Vulkan loader: it lacks vkGetInstanceProcAddr");
#define BP_VK_LOAD(name) \
  global_.name = reinterpret_cast<PFN_vk##name>(global_.GetInstanceProcAddr(nullptr, "vk" #name));
  BP_VK_GLOBAL_FUNCTIONS(BP_VK_LOAD)
#undef BP_VK_LOAD
  uint32_t version = 0;
  if (global_.EnumerateInstanceVersion == nullptr || global_.EnumerateInstanceVersion(&version) != VK_SUCCESS ||
      version < VK_API_VERSION_1_2) {
    unavailable("the Vulkan loader speaks version " + std::to_string(VK_API_VERSION_MAJOR(version)) + "." +
                std::to_string(VK_API_VERSION_MINOR(version)) + ", 1.2 is needed; update libvulkan1");
  }
}

void Driver::create_instance() {
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = application.pEngineName = "Backplane";
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;

  const bool validate = host_.config("vulkan.validation").value_or("0") == "1";
  const char* extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
  const VkValidationFeatureEnableEXT features[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  VkValidationFeaturesEXT validation{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
  validation.enabledValidationFeatureCount = 1;
  validation.pEnabledValidationFeatures = features;
  VkDebugUtilsMessengerCreateInfoEXT messages{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  messages.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT;
  messages.messageType =
      VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  messages.pfnUserCallback = on_message;
  messages.pUserData = &host_;
  if (validate) {
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kLayer;
    info.enabledExtensionCount = 2;
    info.ppEnabledExtensionNames = extensions;
    info.pNext = &validation;
  }
  const VkResult result = global_.CreateInstance(&info, nullptr, &instance_);
  if (result == VK_ERROR_LAYER_NOT_PRESENT) {
    unavailable(std::string("vulkan.validation is 1, but the layer ") + kLayer +
                " is not installed (vulkan-validationlayers)");
  }
  if (result != VK_SUCCESS) {
    unavailable("no usable Vulkan driver (vkCreateInstance: " + result_name(result) + "); install mesa-vulkan-drivers");
  }
#define BP_VK_LOAD(name) api_.name = reinterpret_cast<PFN_vk##name>(global_.GetInstanceProcAddr(instance_, "vk" #name));
  BP_VK_INSTANCE_FUNCTIONS(BP_VK_LOAD)
#undef BP_VK_LOAD
  if (validate) api_.CreateDebugUtilsMessengerEXT(instance_, &messages, nullptr, &messenger_);
}

/// Empty when the device suits; else what it lacks.
std::string Driver::describe(VkPhysicalDevice device, Adapter& adapter) const {
  adapter.handle = device;
  api_.GetPhysicalDeviceProperties(device, &adapter.properties);
  if (adapter.properties.apiVersion < VK_API_VERSION_1_2) return "Vulkan older than 1.2";
  for (const VkExtensionProperties& extension :
       enumerate<VkExtensionProperties>("vkEnumerateDeviceExtensionProperties", [&](uint32_t*n, auto*items) {
         return api_.EnumerateDeviceExtensionProperties(device, nullptr, n, items);
       })) {
    adapter.extensions.emplace_back(extension.extensionName);
  }
  VkPhysicalDevicePCIBusInfoPropertiesEXT pci{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT};
  adapter.properties11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
  adapter.properties12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  all.pNext = &adapter.properties11;
  adapter.properties11.pNext = &adapter.properties12;
  const bool has_pci = adapter.has(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
  VkPhysicalDeviceShaderSMBuiltinsPropertiesNV sm{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
  VkPhysicalDeviceShaderCorePropertiesAMD amd{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD};
  auto chain = [tail = &adapter.properties12.pNext](auto& properties) mutable {
    *tail = &properties;
    tail = &properties.pNext;
  };
  if (has_pci) chain(pci);
  if (adapter.has(VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME)) chain(sm);
  if (adapter.has(VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME)) chain(amd);
  api_.GetPhysicalDeviceProperties2(device, &all);
  adapter.properties11.pNext = adapter.properties12.pNext = nullptr;
  adapter.compute_units = adapter.is_cpu() ? std::thread::hardware_concurrency()
                          : sm.shaderSMCount != 0
                              ? sm.shaderSMCount
                              : amd.shaderEngineCount * amd.shaderArraysPerEngineCount * amd.computeUnitsPerShaderArray;
  if (has_pci) {
    char text[16];
    std::snprintf(text, sizeof(text), "%04x:%02x:%02x.%x", pci.pciDomain, pci.pciBus, pci.pciDevice, pci.pciFunction);
    adapter.pci = text;
  }
  api_.GetPhysicalDeviceMemoryProperties(device, &adapter.memory);

  uint32_t count = 0;
  api_.GetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  api_.GetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  int best = -1;  // a family that does nothing but compute has its own hardware queues
  for (uint32_t family = 0; family < count; ++family) {
    const VkQueueFlags flags = families[family].queueFlags;
    if ((flags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
    if (best < 0 || ((families[static_cast<size_t>(best)].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0 &&
                     (flags & VK_QUEUE_GRAPHICS_BIT) == 0)) {
      best = static_cast<int>(family);
    }
  }
  if (best < 0) return "no queue that computes";
  adapter.queue_family = static_cast<uint32_t>(best);
  adapter.queue_count = families[adapter.queue_family].queueCount;
  adapter.timestamp_bits = families[adapter.queue_family].timestampValidBits;
  return {};
}

void Driver::list_adapters() {
  std::string passed_over;
  const auto devices = enumerate<VkPhysicalDevice>("vkEnumeratePhysicalDevices", [&](uint32_t* n, auto* items) {
    const VkResult result = api_.EnumeratePhysicalDevices(instance_, n, items);
    if (result == VK_ERROR_INITIALIZATION_FAILED) *n = 0;  // the loader's word for "no device"
    return result == VK_ERROR_INITIALIZATION_FAILED ? VK_SUCCESS : result;
  });
  for (VkPhysicalDevice device : devices) {
    Adapter adapter;
    const std::string lacks = describe(device, adapter);
    if (lacks.empty())
      adapters_.push_back(std::move(adapter));
    else
      passed_over += std::string(passed_over.empty() ? "" : ", ") + adapter.properties.deviceName + ": " + lacks;
  }
  if (!passed_over.empty()) host_.log(BP_LOG_INFO, "vulkan", "passed over " + passed_over);
  if (adapters_.empty()) {
    unavailable("no Vulkan device that computes" + (passed_over.empty() ? "" : " (" + passed_over + ")") +
                "; install a driver (mesa-vulkan-drivers has one for the CPU)");
  }
}

}  // namespace backplane::vulkan
