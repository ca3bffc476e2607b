// SPDX-License-Identifier: Apache-2.0
// One SQLite file with the store's schema: opening, statements, and what is done when it is damaged.
//
// A damaged or foreign file is copied aside and then emptied in place (SQLITE_DBCONFIG_RESET_DATABASE), never renamed:
// SQLite finds write-ahead log and locks by the file's name, so that renaming under another process would damage the
// new file, too. https://www.sqlite.org/howtocorrupt.html, section 4.2
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sqlite3.h>

namespace backplane::autotune {

class DatabaseError : public std::runtime_error {
 public:
  DatabaseError(int code, const std::string& what) : std::runtime_error(what), code_(code) {}
  bool damaged() const { return (code_ & 0xff) == SQLITE_CORRUPT || (code_ & 0xff) == SQLITE_NOTADB; }

 private:
  int code_;
};

class Database {
 public:
  enum class Access { read, write };
  Database() = default;
  ~Database() { close(); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Gives false when there is no file and none is to be made. Throws DatabaseError; damaged() ones can be healed.
  bool open(const std::filesystem::path& file, Access access);
  /// Copies the file aside and empties it; does nothing when another process has done so meanwhile. Gives what was
  /// done.
  std::string heal();
  bool is_open() const { return handle_ != nullptr; }
  sqlite3* handle() const { return handle_; }
  void run(const char* sql);
  void close();

 private:
  void connect(int flags, bool immutable);
  bool open_to_read();
  void make_schema();
  void upgrade();  ///< a file of an earlier version, whose results stay
  void set_version();
  std::filesystem::path file_;
  sqlite3* handle_ = nullptr;
};

/// Values are bound in order; columns are read by position.
class Statement {
 public:
  template <class... Values>
  Statement(const Database& database, const char* sql, const Values&... values) : Statement(database.handle(), sql) {
    (bind(values), ...);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  bool step();  ///< true: there is a row
  void run() {
    while (step()) {
    }
  }
  int64_t integer() { return sqlite3_column_int64(statement_, column_++); }
  double real() { return sqlite3_column_double(statement_, column_++); }
  std::string text();

 private:
  Statement(sqlite3* handle, const char* sql);
  void bind(std::string_view text);
  void bind(const std::string& text) { bind(std::string_view(text)); }
  void bind(const char* text) { bind(std::string_view(text)); }
  void bind(int64_t value);
  void bind(uint64_t value) { bind(static_cast<int64_t>(value)); }
  void bind(uint32_t value) { bind(static_cast<int64_t>(value)); }
  void bind(bool value) { bind(static_cast<int64_t>(value)); }
  void bind(double value);
  sqlite3* handle_;
  sqlite3_stmt* statement_ = nullptr;
  int position_ = 0, column_ = 0;
};

/// Rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.run("BEGIN IMMEDIATE"); }
  ~Transaction();
  void commit() {
    database_.run("COMMIT");
    done_ = true;
  }

 private:
  Database& database_;
  bool done_ = false;
};

}  // namespace backplane::autotune
