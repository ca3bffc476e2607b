// SPDX-License-Identifier: Apache-2.0
// Files that are no plugins, or that nobody should load: damaged, foreign, writable by others, not files at all.
#include <elf.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <functional>
#include <ostream>
#include <random>

#include "backplane/host/error.h"
#include "backplane/host/reasons.h"
#include "elf_preflight.h"
#include "fixture.h"

namespace backplane::host::test {
namespace {

/// How to spoil the bytes of a good plugin.
struct DamagedFile {
  const char* name;
  const char* code;  // "" = it is used all the same
  const char* reason;
  std::function<void(std::string&)> spoil;
};

void PrintTo(const DamagedFile& c, std::ostream* out) { *out << c.name; }

Elf64_Ehdr& header(std::string& bytes) { return *reinterpret_cast<Elf64_Ehdr*>(bytes.data()); }
Elf64_Phdr& segment(std::string& bytes, std::uint32_t type) {
  auto* first = reinterpret_cast<Elf64_Phdr*>(bytes.data() + header(bytes).e_phoff);
  for (int i = 0; i < header(bytes).e_phnum; ++i) {
    if (first[i].p_type == type) return first[i];
  }
  throw std::logic_error("the good plugin lacks a segment");
}

const DamagedFile kFiles[] = {
    {"empty", "not-elf", "0 bytes", [](std::string& b) { b.clear(); }},
    {"one-byte", "not-elf", "1 bytes", [](std::string& b) { b = "\x7f"; }},
    {"text", "not-elf", "mark", [](std::string& b) { b = "#!/bin/sh\necho plugin\n"; }},
    {"zeros", "not-elf", "mark", [](std::string& b) { b.assign(100000, '\0'); }},
    {"cut-to-4", "truncated", "header", [](std::string& b) { b.resize(4); }},
    {"cut-to-16", "truncated", "header", [](std::string& b) { b.resize(16); }},
    {"cut-to-63", "truncated", "header", [](std::string& b) { b.resize(63); }},
    {"cut-to-64", "truncated", "segments", [](std::string& b) { b.resize(64); }},
    {"cut-to-300", "truncated", "segments", [](std::string& b) { b.resize(300); }},
    {"cut-to-4096", "truncated", "copy it again", [](std::string& b) { b.resize(4096); }},
    {"cut-in-half", "truncated", "copy it again", [](std::string& b) { b.resize(b.size() / 2); }},
    {"cut-by-one", "truncated", "copy it again", [](std::string& b) { b.resize(b.size() - 1); }},
    {"class-32", "wrong-class", "32-bit", [](std::string& b) { b[EI_CLASS] = ELFCLASS32; }},
    {"class-9", "bad-elf", "class", [](std::string& b) { b[EI_CLASS] = 9; }},
    {"byte-order", "wrong-byte-order", "byte order",
     [](std::string& b) { b[EI_DATA] = static_cast<char>(3 - b[EI_DATA]); }},
    {"elf-version", "bad-elf", "version", [](std::string& b) { b[EI_VERSION] = 7; }},
    {"machine", "wrong-machine", "another processor", [](std::string& b) { header(b).e_machine = EM_S390; }},
    {"type-exec", "wrong-type", "an executable", [](std::string& b) { header(b).e_type = ET_EXEC; }},
    {"type-rel", "wrong-type", "an object file", [](std::string& b) { header(b).e_type = ET_REL; }},
    {"type-core", "wrong-type", "no shared library", [](std::string& b) { header(b).e_type = ET_CORE; }},
    {"no-segments", "bad-elf", "segments", [](std::string& b) { header(b).e_phnum = 0; }},
    {"segment-size", "bad-elf", "segments", [](std::string& b) { header(b).e_phentsize = 13; }},
    {"many-segments", "truncated", "segments", [](std::string& b) { header(b).e_phnum = 0xfffe; }},
    {"segments-far-away", "truncated", "segments", [](std::string& b) { header(b).e_phoff = UINT64_MAX - 8; }},
    {"segment-overflow", "truncated", "a segment",
     [](std::string& b) { segment(b, PT_LOAD).p_filesz = UINT64_MAX - 16; }},
    {"segment-inverted", "bad-elf", "larger in the file", [](std::string& b) { segment(b, PT_LOAD).p_memsz = 1; }},
    {"no-dynamic", "bad-elf", "no dynamic section", [](std::string& b) { segment(b, PT_DYNAMIC).p_type = PT_NULL; }},
    {"huge-dynamic", "bad-elf", "dynamic section",
     [](std::string& b) {
       b.resize(b.size() + (1 << 20));
       segment(b, PT_DYNAMIC).p_filesz = 1 << 20;
     }},
    {"no-sections", "", "", [](std::string& b) { header(b).e_shoff = header(b).e_shnum = header(b).e_shstrndx = 0; }},
    {"sections-far-away", "truncated", "sections", [](std::string& b) { header(b).e_shoff = UINT64_MAX / 2; }},
};

class HostileFile : public LoaderTest, public ::testing::WithParamInterface<DamagedFile> {};

TEST_P(HostileFile, IsTurnedDownBeforeItIsLoaded) {
  const DamagedFile& c = GetParam();
  install_good();
  // A plugin must call itself like its file, so the one damaged file that is fine is a plain copy of the good one.
  const std::string name = *c.code == '\0' ? "null" : c.name;
  std::string bytes = read_all(null_plugin());
  c.spoil(bytes);
  write_all(plugins / ("libbackplane_" + name + ".so"), bytes);
  Registry registry(options());
  const PluginReport& report = find(registry, name);
  EXPECT_EQ(report.code, c.code) << report.reason;
  EXPECT_THAT(report.reason, ::testing::HasSubstr(c.reason));
  expect_good_works(registry);
}

INSTANTIATE_TEST_SUITE_P(Host, HostileFile, ::testing::ValuesIn(kFiles), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

class HostileLink : public LoaderTest {
 protected:
  void expect(const std::string& file, const std::string& code, const std::string& reason) {
    install_good();
    const std::string name = fs::path(file).stem().string();
    install(fs::path(TEST_PLUGIN_DIR) / "hostile" / file, name);
    Registry registry(options());
    EXPECT_EQ(find(registry, name).code, code) << find(registry, name).reason;
    EXPECT_THAT(find(registry, name).reason, ::testing::HasSubstr(reason));
    EXPECT_THAT(find(registry, name).reason, ::testing::Not(::testing::HasSubstr("Bad file descriptor")));
    expect_good_works(registry);
  }
};

TEST_F(HostileLink, NoEntryPoint) { expect("no-entry.so", "missing-entry", "does not export backplane_plugin_v1"); }
TEST_F(HostileLink, EntryPointIsData) { expect("data-entry.so", "entry-not-code", "data"); }
TEST_F(HostileLink, UnresolvedSymbol) { expect("unresolved.so", "unresolved-symbol", "undefined symbol: some_other_symbol"); }
TEST_F(HostileLink, MissingLibrary) { expect("missing-library.so", "missing-library", "libbackplane-test-absent.so"); }
TEST_F(HostileLink, RelativeRunPath) { expect("relative-rpath.so", "relative-library-path", "\"plugins\""); }
TEST_F(HostileLink, RunPathOfTheCurrentDirectory) { expect("empty-rpath.so", "relative-library-path", "\".\""); }
TEST_F(HostileLink, ExecutableStack) { expect("executable-stack.so", "executable-stack", "noexecstack"); }
TEST_F(HostileLink, AProgram) { expect("hostile_program", "load-failed", "cannot dynamically load"); }

class HostileTrust : public LoaderTest {
 protected:
  fs::path file() { return plugins / "libbackplane_victim.so"; }
  /// `code` and part of the sentence for libbackplane_victim.so; then the same with permissions not looked at.
  void expect(const std::string& code, const std::string& reason, const std::string& insecure_code) {
    const fs::path good = root / "good";
    fs::create_directory(good);
    install(null_plugin(), "null", good);
    RegistryOptions chosen = options();
    chosen.directories.push_back(good);
    Registry registry(chosen);
    EXPECT_EQ(find(registry, "victim").code, code) << find(registry, "victim").reason;
    EXPECT_THAT(find(registry, "victim").reason, ::testing::HasSubstr(reason));
    expect_good_works(registry);
    chosen.allow_insecure = true;
    Registry insecure(chosen);
    EXPECT_EQ(find(insecure, "victim").code, insecure_code) << find(insecure, "victim").reason;
  }
};

// The victim is a copy of the null plugin; where permissions are ignored it comes as far as its name.
TEST_F(HostileTrust, WorldWritableFile) {
  fs::permissions(install(null_plugin(), "victim"), fs::perms(0757));
  expect("world-writable", "BACKPLANE_ALLOW_INSECURE_PLUGINS=1", "name-mismatch");
}
TEST_F(HostileTrust, GroupWritableFile) {
  fs::permissions(install(null_plugin(), "victim"), fs::perms(0775));
  expect("group-writable", "chmod g-w", "name-mismatch");
}
TEST_F(HostileTrust, WorldWritableDirectory) {
  install(null_plugin(), "victim");
  fs::permissions(plugins, fs::perms(0777));
  expect("directory-world-writable", "its directory", "name-mismatch");
}
TEST_F(HostileTrust, StickyDirectoryIsNoBetter) {
  install(null_plugin(), "victim");
  fs::permissions(plugins, fs::perms(01777));
  expect("directory-world-writable", "its directory", "name-mismatch");
}
TEST_F(HostileTrust, GroupWritableDirectory) {
  install(null_plugin(), "victim");
  fs::permissions(plugins, fs::perms(0775));
  expect("directory-group-writable", "its directory", "name-mismatch");
}
TEST_F(HostileTrust, WritableTargetOfALink) {
  const fs::path elsewhere = root / "elsewhere";
  fs::create_directory(elsewhere);
  fs::permissions(elsewhere, fs::perms(0777));
  fs::create_symlink(install(null_plugin(), "real", elsewhere), file());
  expect("directory-world-writable", "elsewhere", "name-mismatch");
}
TEST_F(HostileTrust, Directory) {
  fs::create_directory(file());
  expect("not-a-file", "a directory", "not-a-file");
}
TEST_F(HostileTrust, Pipe) {
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  expect("not-a-file", "a pipe", "not-a-file");
}
TEST_F(HostileTrust, Socket) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, file().c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect("not-a-file", "a socket", "not-a-file");
  ::close(socket);
}
TEST_F(HostileTrust, DanglingLink) {
  fs::create_symlink(root / "nowhere", file());
  expect("dangling-link", "nowhere", "dangling-link");
}
TEST_F(HostileTrust, LinkLoop) {
  fs::create_symlink(file(), file());
  expect("link-loop", "back to itself", "link-loop");
}
TEST_F(HostileTrust, Unreadable) {
  install(null_plugin(), "victim");
  const bool is_root = ::geteuid() == 0;
  // Root may read everything, so it becomes somebody else for a while; that user has to see the directories.
  fs::permissions(root, fs::perms(0755));
  fs::permissions(file(), fs::perms(is_root ? 0700 : 0000));
  fs::create_directory(root / "cache");
  if (is_root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  RegistryOptions chosen = options();
  Registry registry(chosen);
  EXPECT_EQ(find(registry, "victim").code, "unreadable") << find(registry, "victim").reason;
  EXPECT_THAT(find(registry, "victim").reason, ::testing::HasSubstr("Permission denied"));
  if (is_root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
}
TEST_F(HostileTrust, ForeignOwner) {
  install(null_plugin(), "victim");
  // Whoever runs this: the file belongs to somebody who is neither root nor the user of the process.
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(file().c_str(), 12345, 0), 0);
    expect("foreign-owner", "owned by user 12345", "name-mismatch");
    return;
  }
  // Only root can give files away; what can be tested then is that root's own files are accepted.
  struct stat info {};
  ASSERT_EQ(::stat("/usr/lib", &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
}
TEST_F(HostileTrust, SparseGiant) {
  install(null_plugin(), "victim");
  fs::resize_file(file(),
                  std::uintmax_t{4} << 30);  // sections are still in place: it is the null plugin by another name
  expect("name-mismatch", "libbackplane_null.so", "name-mismatch");
}
TEST_F(HostileTrust, ObjectFile) {
  fs::copy_file(TEST_OBJECT_FILE, file());
  expect("wrong-type", "an object file", "wrong-type");
}
TEST_F(HostileTrust, NamesThatAreNoNames) {
  install_good();
  for (const char* name : {"", "Upper", "with space", "a.b", "\033[31m", "thirty-two-characters-are-too-many"}) {
    install(null_plugin(), name);
  }
  Registry registry(options());
  int bad = 0;
  for (const PluginReport& report : registry.plugins()) bad += report.code == "bad-file-name" ? 1 : 0;
  EXPECT_EQ(bad, 6);
  expect_good_works(registry);
}

/// Random damage: the verdict may be anything, but reading the headers neither crashes nor reads outside.
TEST(ElfPreflight, SurvivesRandomDamage) {
  const std::string good = read_all(fs::path(TEST_PLUGIN_DIR) / "null" / "libbackplane_null.so");
  const int memory = ::memfd_create("damaged", 0);
  ASSERT_GE(memory, 0);
  const fs::path file = "/proc/self/fd/" + std::to_string(memory);
  std::mt19937 random(20261121);
  int rejected = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = good;
    const std::size_t reach = round % 2 == 0 ? 64 + 56 * 12 : bytes.size();
    for (unsigned i = 0, n = 1 + random() % 8; i < n; ++i) bytes[random() % reach] = static_cast<char>(random());
    if (round % 5 == 0) bytes.resize(random() % bytes.size());
    ASSERT_EQ(::ftruncate(memory, 0), 0);
    ASSERT_EQ(::pwrite(memory, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    try {
      check_elf(file);
    } catch (const Rejection& why) {
      ++rejected;
      EXPECT_FALSE(why.reason().empty());
    }
  }
  ::close(memory);
  EXPECT_GT(rejected, 500);
}

}  // namespace
}  // namespace backplane::host::test
