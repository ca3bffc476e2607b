// SPDX-License-Identifier: Apache-2.0
#include "elf_preflight.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "backplane/host/reasons.h"
#include "backplane/host/text.h"

namespace backplane::host {
namespace {

#if defined(__x86_64__)
constexpr unsigned kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr unsigned kMachine = EM_RISCV;
#elif defined(__powerpc64__)
constexpr unsigned kMachine = EM_PPC64;
#else
#error "add the ELF machine number of this processor"
#endif
constexpr unsigned char kByteOrder = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
constexpr std::size_t kMaxDynamicEntries = 4096;
constexpr std::size_t kMaxString = 4096;

class File {
 public:
  explicit File(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
      throw Rejection("unreadable", "it cannot be read: " + std::string(std::strerror(errno)));
    }
    size_ = static_cast<std::uint64_t>(info.st_size);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  std::uint64_t size() const { return size_; }
  bool contains(std::uint64_t offset, std::uint64_t bytes) const { return offset <= size_ && bytes <= size_ - offset; }

  /// `bytes` at `offset`; a file that ends before is truncated, and `what` is missing.
  void read(void* out, std::uint64_t offset, std::size_t bytes, const char* what) const {
    if (!contains(offset, bytes) ||
        ::pread(fd_, out, bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes)) {
      throw Rejection("truncated", "it has " + std::to_string(size_) + " bytes, but its " + what +
                                       " should end at byte " + std::to_string(offset + bytes) + "; copy it again");
    }
  }
  /// NUL-terminated text at `offset`, cut at kMaxString.
  std::string text(std::uint64_t offset) const {
    if (offset >= size_) return "";
    std::string out(static_cast<std::size_t>(std::min<std::uint64_t>(kMaxString, size_ - offset)), '\0');
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    out.resize(got > 0 ? strnlen(out.data(), static_cast<std::size_t>(got)) : 0);
    return out;
  }

 private:
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

Elf64_Ehdr read_header(const File& file) {
  unsigned char ident[EI_NIDENT] = {};
  if (file.size() < SELFMAG) {
    throw Rejection("not-elf", "it has " + std::to_string(file.size()) + " bytes and is not an ELF file");
  }
  file.read(ident, 0, static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), EI_NIDENT)), "header");
  if (std::memcmp(ident, ELFMAG, SELFMAG) != 0) {
    throw Rejection("not-elf", "it does not begin with the mark of an ELF file");
  }
  Elf64_Ehdr header{};
  if (file.contains(0, EI_NIDENT)) {
    if (ident[EI_CLASS] == ELFCLASS32) throw Rejection("wrong-class", "it is a 32-bit library; this process is 64-bit");
    if (ident[EI_CLASS] != ELFCLASS64) throw Rejection("bad-elf", "its ELF class is neither 32 nor 64 bit");
    if (ident[EI_DATA] != kByteOrder) throw Rejection("wrong-byte-order", "it is for machines of the other byte order");
  }
  file.read(&header, 0, sizeof header, "header");
  if (header.e_ident[EI_VERSION] != EV_CURRENT || header.e_version != EV_CURRENT) {
    throw Rejection("bad-elf", "its ELF version is not 1");
  }
  if (header.e_machine != kMachine) {
    throw Rejection("wrong-machine", "it is for another processor (ELF machine " + std::to_string(header.e_machine) +
                                         ", here " + std::to_string(kMachine) + ")");
  }
  if (header.e_type != ET_DYN) {
    throw Rejection("wrong-type", std::string("it is ") +
                                      (header.e_type == ET_EXEC  ? "an executable"
                                       : header.e_type == ET_REL ? "an object file"
                                                                 : "no shared library") +
                                      "; link it with -shared");
  }
  return header;
}

std::vector<Elf64_Phdr> read_segments(const File& file, const Elf64_Ehdr& header) {
  if (header.e_phnum == 0 || header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum >= PN_XNUM) {
    throw Rejection("bad-elf", "its table of segments is missing or malformed");
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  file.read(segments.data(), header.e_phoff, segments.size() * sizeof(Elf64_Phdr), "table of segments");
  if (header.e_shoff != 0 && header.e_shnum != 0 &&
      !file.contains(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize)) {
    throw Rejection("truncated", "it has " + std::to_string(file.size()) +
                                     " bytes and ends before its table of sections; copy it again");
  }
  return segments;
}

std::optional<std::uint64_t> file_offset(const std::vector<Elf64_Phdr>& segments, std::uint64_t address) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz) {
      return segment.p_offset + (address - segment.p_vaddr);
    }
  }
  return std::nullopt;
}

/// Run paths and needed libraries may not depend on the current directory.
void check_library_paths(const File& file, const std::vector<Elf64_Phdr>& segments, const Elf64_Phdr& dynamic) {
  const std::size_t count = static_cast<std::size_t>(dynamic.p_filesz / sizeof(Elf64_Dyn));
  if (count > kMaxDynamicEntries) throw Rejection("bad-elf", "its dynamic section has an impossible size");
  std::vector<Elf64_Dyn> entries(count);
  file.read(entries.data(), dynamic.p_offset, count * sizeof(Elf64_Dyn), "dynamic section");
  std::optional<std::uint64_t> strings;
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_STRTAB) strings = file_offset(segments, entry.d_un.d_ptr);
  }
  if (!strings) throw Rejection("bad-elf", "its dynamic section has no strings");
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_un.d_val > file.size()) continue;  // a value that is no offset; also keeps the sum below from wrapping
    if (entry.d_tag == DT_RPATH || entry.d_tag == DT_RUNPATH) {
      for (const std::string& part : split(file.text(*strings + entry.d_un.d_val), ':')) {
        if (!part.empty() && (part[0] == '/' || part.rfind("$ORIGIN", 0) == 0 || part.rfind("${ORIGIN}", 0) == 0))
          continue;
        throw Rejection("relative-library-path", "its run path \"" + clean_text(part, 200) +
                                                     "\" is not absolute; link it with -Wl,-rpath,'$ORIGIN'");
      }
    } else if (entry.d_tag == DT_NEEDED) {
      const std::string needed = file.text(*strings + entry.d_un.d_val);
      if (needed.find('/') != std::string::npos && needed[0] != '/' && needed.rfind("$ORIGIN", 0) != 0) {
        throw Rejection("relative-library-path",
                        "it needs \"" + clean_text(needed, 200) +
                            "\", a path relative to the current directory; give that library a soname");
      }
    }
  }
}

}  // namespace

void check_elf(const std::filesystem::path& path) {
  const File file(path);
  const Elf64_Ehdr header = read_header(file);
  const std::vector<Elf64_Phdr> segments = read_segments(file, header);
  const Elf64_Phdr* dynamic = nullptr;
  bool loads = false;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_LOAD || segment.p_type == PT_DYNAMIC) {
      if (segment.p_filesz != 0 && !file.contains(segment.p_offset, segment.p_filesz)) {
        throw Rejection("truncated", "it has " + std::to_string(file.size()) +
                                         " bytes, but a segment should end at byte " +
                                         std::to_string(segment.p_offset + segment.p_filesz) + "; copy it again");
      }
      if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz) {
        throw Rejection("bad-elf", "a segment is larger in the file than in memory");
      }
    }
    loads = loads || segment.p_type == PT_LOAD;
    if (segment.p_type == PT_DYNAMIC) dynamic = &segment;
    if (segment.p_type == PT_GNU_STACK && (segment.p_flags & PF_X) != 0) {
      throw Rejection("executable-stack", "it asks for an executable stack; link it with -Wl,-z,noexecstack");
    }
  }
  if (!loads || dynamic == nullptr) throw Rejection("bad-elf", "it has no segment to load or no dynamic section");
  check_library_paths(file, segments, *dynamic);
}

}  // namespace backplane::host
