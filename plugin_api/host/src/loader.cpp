// SPDX-License-Identifier: Apache-2.0
#include "loader.h"

#include <boost/dll/shared_library.hpp>

#include <cstdlib>
#include <exception>
#include <mutex>
#include <string_view>
#include <utility>

#include "backplane/host/error.h"
#include "backplane/host/reasons.h"
#include "backplane/host/text.h"

namespace backplane::host {
namespace {

namespace dll = boost::dll;

/// Owned for ever, and reachable, so that a leak checker sees that it is meant.
template <class T>
T& keep(std::unique_ptr<T> object) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<T>>;
  const std::lock_guard lock(mutex);
  return *kept->emplace_back(std::move(object));
}

/// What the dynamic linker says, told apart by its (untranslated or translated) wording where that matters to people.
Rejection explain_load_failure(const std::string& text) {
  const std::string clean = clean_text(text, 600);
  if (clean.find("cannot open shared object file") != std::string::npos) {
    // "libfoo.so.1: cannot open shared object file: No such file or directory"
    const std::string library = clean.substr(0, clean.find(':'));
    return {"missing-library", "a library it needs is not installed: " + library + " (" + clean + ")"};
  }
  if (clean.find("undefined symbol") != std::string::npos) return {"unresolved-symbol", clean};
  return {"load-failed", clean};
}

/// The exception's text is the only place where Boost.DLL keeps dlerror().
/// It reads "boost::dll::shared_library::load() failed (dlerror system message: TEXT): Bad file descriptor".
std::string linker_text(const std::exception& error) {
  constexpr std::string_view kBefore = "dlerror system message: ", kAfter = "): ";
  std::string text = error.what();
  if (const std::size_t at = text.find(kBefore); at != std::string::npos) {
    text.erase(0, at + kBefore.size());
    if (const std::size_t end = text.rfind(kAfter); end != std::string::npos) text.erase(end);
  }
  return text;
}

bp_plugin_entry find_entry(const std::filesystem::path& path) {
  try {
    // Kept for ever, and never copied: a copy would load by path again.
    auto& library = keep(
        std::make_unique<dll::shared_library>(path, dll::load_mode::rtld_now | dll::load_mode::rtld_local));
    if (!library.has(BP_PLUGIN_ENTRY_NAME)) {
      throw Rejection("missing-entry", std::string("it does not export ") + BP_PLUGIN_ENTRY_NAME +
                                           "; is it a Backplane plugin, and is the symbol visible?");
    }
    auto* entry = &library.get<bp_status(const bp_host*, const bp_plugin_api**, bp_error*)>(BP_PLUGIN_ENTRY_NAME);
    if (!points_to_code(reinterpret_cast<const void*>(entry))) {
      throw Rejection("entry-not-code", std::string(BP_PLUGIN_ENTRY_NAME) + " is data, not a function");
    }
    return entry;
  } catch (const std::exception& error) {
    throw explain_load_failure(linker_text(error));
  }
}

void load_steps(Plugin& plugin, const std::filesystem::path& path, const StageObserver& at) {
  const auto stage = [&](const char* name) {
    if (at) at(name);
  };
  stage("load");
  const bp_plugin_entry entry = find_entry(path);

  stage("entry");
  const bp_plugin_api* table = nullptr;
  bp_error error = make_error();
  if (const bp_status status = entry(plugin.services.table(), &table, &error); status < 0) {
    throw Rejection(status == BP_E_ABI ? "version-mismatch" : "entry-failed",
                    "its entry point refused: " + failure_text(status, error));
  }

  stage("tables");
  plugin.api = check_root(table, plugin.name);
  plugin.version = plugin.api.version;
  plugin.build_id = plugin.api.build_id;
  plugin.description = plugin.api.description;

  stage("create");
  error = make_error();
  bp_plugin* instance = nullptr;
  if (const bp_status status = plugin.api.create(plugin.services.table(), &instance, &error); status < 0) {
    throw Rejection(status == BP_E_UNAVAILABLE ? "unavailable" : "create-failed", failure_text(status, error));
  }
  if (instance == nullptr) throw Rejection("null-instance", "`create` reported success, but gave no instance");
  plugin.instance = instance;
  plugin.tables = check_interfaces(plugin.api, instance);

  stage("devices");
  plugin.devices = check_devices(plugin.api, instance);
}

}  // namespace

std::shared_ptr<Plugin> load_plugin(const std::filesystem::path& path, const std::string& name,
                                    const std::filesystem::path& cache_directory, const StageObserver& at) {
  // The services stay valid even when loading fails: the plugin has seen the table and may have kept it.
  Plugin* plugin = &keep(std::make_unique<Plugin>(name, path, cache_directory));
  const auto undo = [&] {
    if (plugin->instance != nullptr) plugin->api.destroy(std::exchange(plugin->instance, nullptr));
  };
  try {
    load_steps(*plugin, path, at);
  } catch (const Rejection&) {
    undo();
    throw;
  } catch (const std::exception& error) {
    undo();
    throw Rejection("throws", std::string("a C++ exception left it: ") + clean_text(error.what(), 300));
  } catch (...) {
    undo();
    throw Rejection("throws", "an exception that is no std::exception left it");
  }
  // Registered after the plugin's own exit handlers, hence run before them.
  std::atexit([] { detail::process_ending.store(true, std::memory_order_relaxed); });
  return std::shared_ptr<Plugin>(plugin, [](Plugin*) {});
}

}  // namespace backplane::host
