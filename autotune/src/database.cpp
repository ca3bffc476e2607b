// SPDX-License-Identifier: Apache-2.0
#include "database.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <ctime>

namespace backplane::autotune {
namespace {

constexpr int kBusyTimeoutMs = 20'000;
constexpr int64_t kApplicationId = 0x42504154;  // "BPAT"
constexpr int64_t kSchemaVersion = 2;

constexpr const char* kSchema = R"(
CREATE TABLE device(id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, build TEXT NOT NULL, UNIQUE(fingerprint, build));
CREATE TABLE result(
  id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device(id), problem TEXT NOT NULL, policy TEXT NOT NULL,
  shapes TEXT NOT NULL, chosen TEXT NOT NULL, why TEXT NOT NULL, decided INTEGER NOT NULL, noise REAL, noise_low REAL,
  noise_high REAL, checked_by TEXT, rounds INTEGER, budget_ns INTEGER, spent_ns INTEGER, build_ns INTEGER,
  op TEXT, written INTEGER NOT NULL, UNIQUE(device, problem, policy, shapes));
CREATE TABLE candidate(
  result INTEGER NOT NULL REFERENCES result(id) ON DELETE CASCADE, position INTEGER NOT NULL, variant TEXT NOT NULL,
  is_default INTEGER, verdict TEXT NOT NULL, reason TEXT, median_ns REAL, p10_ns REAL, p90_ns REAL, samples INTEGER,
  ratio REAL, ratio_low REAL, ratio_high REAL, error REAL, allowed REAL, workspace INTEGER, numeric_notes INTEGER,
  determinism INTEGER, build_ns INTEGER, code_hash INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(result, position))
  WITHOUT ROWID;
CREATE TABLE trial(
  device INTEGER NOT NULL, problem TEXT NOT NULL, policy TEXT NOT NULL, shapes TEXT NOT NULL, variant TEXT NOT NULL,
  pid INTEGER NOT NULL, PRIMARY KEY(device, problem, policy, shapes, variant, pid)) WITHOUT ROWID;
)";
/// From version 1, which did not know variants' code: as before, their build stands for it.
constexpr const char* kFromVersion1 = "ALTER TABLE candidate ADD COLUMN code_hash INTEGER NOT NULL DEFAULT 0";

[[noreturn]] void fail(sqlite3* handle, int code, const std::string& where) {
  throw DatabaseError(code, where + ": " + (handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code)));
}

/// Held while a file is made or healed: one process does it, the others find it done.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file)
      : fd_(::open((file.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ >= 0) flock(fd_, LOCK_EX);
  }
  ~FileLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

int64_t pragma(const Database& database, const char* name) {
  Statement statement(database, (std::string("PRAGMA ") + name).c_str());
  return statement.step() ? statement.integer() : 0;
}

/// Throws when it is not ours; 0 when it is empty.
int64_t schema_version(const Database& database) {
  const int64_t id = pragma(database, "application_id"), version = pragma(database, "user_version");
  if (id == kApplicationId && version >= 1 && version <= kSchemaVersion) return version;
  if (id == kApplicationId) {
    throw DatabaseError(SQLITE_ERROR, "is of version " + std::to_string(version) + ", and this program reads version " +
                                          std::to_string(kSchemaVersion) +
                                          "; use another BACKPLANE_CACHE_DIR, or remove the file");
  }
  Statement any(database, "SELECT count(*) FROM sqlite_schema");
  if (id == 0 && any.step() && any.integer() == 0) return 0;
  throw DatabaseError(SQLITE_NOTADB, "is a database of something else");
}

std::string free_name(const std::filesystem::path& file) {
  const std::string stem = file.string() + ".set-aside-" + std::to_string(std::time(nullptr));
  for (int i = 0;; ++i) {
    const std::string name = i == 0 ? stem : stem + "-" + std::to_string(i);
    if (!std::filesystem::exists(name)) return name;
  }
}

}  // namespace

void Database::connect(int flags, bool immutable) {
  close();
  // A URI only where it is needed: there, characters of the path would need escaping.
  std::string name = file_.string();
  if (immutable) {
    std::string escaped;
    for (const char c : name) {
      if (c == '?' || c == '#' || c == '%') {
        constexpr char kHex[] = "0123456789ABCDEF";
        escaped += {'%', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 15]};
      } else {
        escaped += c;
      }
    }
    name = "file:" + escaped + "?immutable=1";
    flags |= SQLITE_OPEN_URI;
  }
  const int code = sqlite3_open_v2(name.c_str(), &handle_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    const std::string what = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
    close();
    throw DatabaseError(code, what);
  }
  sqlite3_busy_timeout(handle_, kBusyTimeoutMs);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  run("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA foreign_keys=ON; PRAGMA synchronous=NORMAL");
}

void Database::set_version() {
  run(("PRAGMA user_version=" + std::to_string(kSchemaVersion)).c_str());
}

void Database::upgrade() {
  const FileLock lock(file_);
  Transaction transaction(*this);
  if (schema_version(*this) == kSchemaVersion) return;  // another process was faster
  run(kFromVersion1);
  set_version();
  transaction.commit();
}

void Database::make_schema() {
  // Writers and readers at the same time, and no wait for the disk at each commit; the mode is kept by the file.
  run("PRAGMA journal_mode=WAL");
  Transaction transaction(*this);
  run(kSchema);
  run(("PRAGMA application_id=" + std::to_string(kApplicationId)).c_str());
  set_version();
  transaction.commit();
}

bool Database::open(const std::filesystem::path& file, Access access) {
  file_ = file;
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    if (access == Access::read) return false;
    std::filesystem::create_directories(file.parent_path(), error);
  }
  if (access == Access::read) return open_to_read();
  connect(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, false);
  if (schema_version(*this) == 0) {
    const FileLock lock(file_);
    if (schema_version(*this) == 0) make_schema();
  }
  if (schema_version(*this) < kSchemaVersion) upgrade();
  return true;
}

bool Database::open_to_read() {
  try {
    connect(SQLITE_OPEN_READWRITE, false);  // reading after a crash may have to bring the log in order
    if (const int64_t version = schema_version(*this); version > 0) {
      if (version < kSchemaVersion) upgrade();
      return true;
    }
    close();  // another process is just making it
    return false;
  } catch (const DatabaseError& problem) {
    if (problem.damaged()) throw;
  }
  connect(SQLITE_OPEN_READONLY, true);  // a directory that cannot be written to
  const int64_t version = schema_version(*this);
  if (version == 0 || version == kSchemaVersion) return version != 0;
  throw DatabaseError(SQLITE_READONLY,
                      "is of version " + std::to_string(version) + ", and cannot be brought to version " +
                          std::to_string(kSchemaVersion) + " where it cannot be written to");
}

std::string Database::heal() {
  const FileLock lock(file_);
  try {
    connect(SQLITE_OPEN_READWRITE, false);
    Statement check(*this, "PRAGMA quick_check(1)");
    if (schema_version(*this) > 0 && check.step() && check.text() == "ok") return {};  // another process was faster
  } catch (const DatabaseError& problem) {
    if (!problem.damaged()) throw;
  }
  const std::string aside = free_name(file_);
  std::filesystem::copy_file(file_, aside);
  if (handle_ == nullptr) connect(SQLITE_OPEN_READWRITE, false);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_RESET_DATABASE, 1, nullptr);
  const int code = sqlite3_exec(handle_, "VACUUM", nullptr, nullptr, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_RESET_DATABASE, 0, nullptr);
  if (code != SQLITE_OK) fail(handle_, code, "emptying it");
  connect(SQLITE_OPEN_READWRITE, false);
  make_schema();
  return "was damaged or not ours; it lies in " + aside + " now, and a new one was begun";
}

void Database::run(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(handle_, code, std::string(sql).substr(0, 40));
}

void Database::close() {
  sqlite3_close(handle_);
  handle_ = nullptr;
}

Statement::Statement(sqlite3* handle, const char* sql) : handle_(handle) {
  const int code = sqlite3_prepare_v2(handle, sql, -1, &statement_, nullptr);
  if (code != SQLITE_OK) fail(handle, code, sql);
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  column_ = 0;
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(handle_, code, sqlite3_sql(statement_));
  return false;
}

std::string Statement::text() {
  const int column = column_++;
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes != nullptr ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)))
                          : std::string();
}

void Statement::bind(std::string_view text) {
  sqlite3_bind_text64(statement_, ++position_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}
void Statement::bind(int64_t value) { sqlite3_bind_int64(statement_, ++position_, value); }
void Statement::bind(double value) { sqlite3_bind_double(statement_, ++position_, value); }

Transaction::~Transaction() {
  if (!done_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace backplane::autotune
