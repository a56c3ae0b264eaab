// A table for a terminal, whose columns are as wide as what is in them.
#pragma once

#include <string>
#include <vector>

namespace raincheck::proxy {

struct Column {
  const char* title;
  bool is_number = false;  // stands on the right
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);

  // As many texts as there are columns.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // the titles first
};

// "1 job", "2 jobs".
std::string counted(std::size_t count, const std::string& noun);

}  // namespace raincheck::proxy
