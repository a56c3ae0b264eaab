#include "config/load.hpp"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "config/check.hpp"
#include "config/interpolate.hpp"
#include "config/reader.hpp"

namespace raincheck::config {
namespace {

constexpr std::size_t include_max = 10'000;
constexpr std::size_t diagnostics_max = 1'000;  // nobody reads more

std::optional<std::string> read_stream(std::istream& stream) {
  std::string content(std::istreambuf_iterator<char>(stream), {});
  if (stream.bad()) return std::nullopt;
  return content;
}

std::optional<std::string> read_file(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || S_ISDIR(status.st_mode)) return std::nullopt;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return std::nullopt;
  return read_stream(stream);
}

// glob(3) gives its handler nothing of the caller's.
thread_local std::string unlisted;  // folder
thread_local int unlisted_error = 0;

int note_unlisted(const char* folder, int error) {
  unlisted = folder;
  unlisted_error = error;
  return 1;
}

std::vector<std::string> list_files(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> files;
  const int result = glob(pattern.c_str(), GLOB_NOSORT, note_unlisted, &found);
  if (result == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  if (result == GLOB_ABORTED) {
    throw std::system_error(unlisted_error, std::generic_category(), unlisted);
  }
  std::sort(files.begin(), files.end());  // by bytes: the same order under every locale
  return files;
}

// One load, from the first file to the last check.
class Load {
 public:
  explicit Load(const Environment& environment)
      : environment_(environment), reading_(environment, loaded_.diagnostics) {}

  Loaded run(const std::string& file, std::string_view text) {
    MainFile main{loaded_.config, {}, {}};
    loaded_.config.listeners.clear();
    if (read(file, text, main)) {
      IncludedFile included{main};
      for (const std::string& other : included_files(file)) read_included(other, included);
      derive(loaded_.config, environment_, reading_);
      check(loaded_.config, reading_);
    }
    order_diagnostics();
    loaded_.ok =
        std::none_of(loaded_.diagnostics.begin(), loaded_.diagnostics.end(),
                     [](const Diagnostic& found) { return found.severity == Severity::error; });
    cut_diagnostics();
    return std::move(loaded_);
  }

 private:
  template <class File>
  bool read(const std::string& file, std::string_view text, File& into) {
    files_.push_back(file);
    loaded_.sources[file] = text;
    yaml::Document document = yaml::parse(file, text);
    std::move(document.diagnostics.begin(), document.diagnostics.end(),
              std::back_inserter(loaded_.diagnostics));
    if (document.root.kind == yaml::Kind::null) {
      if (document.diagnostics.empty()) reading_.refuse({file, 1, 1}, "", "the file is empty");
      return false;
    }
    Reader reader(reading_, document.root, "");
    describe(reader, into);
    reader.finish();
    return true;
  }

  std::vector<std::string> included_files(const std::string& main_file) {
    std::vector<std::string> files;
    const std::size_t slash = main_file.rfind('/');
    const std::string directory = slash == main_file.npos ? "" : main_file.substr(0, slash + 1);
    for (std::size_t i = 0; i < loaded_.config.include.size(); ++i) {
      const std::string& pattern = loaded_.config.include[i];
      const std::string path = "include[" + std::to_string(i) + "]";
      const auto found = list(pattern.front() == '/' ? pattern : directory + pattern, path);
      if (found.empty() && pattern.find_first_of("*?[") == pattern.npos) {
        reading_.refuse(reading_.place(path), path, "there is no file '" + pattern + "'");
      }
      for (const std::string& file : found) {
        if (file == main_file || std::find(files.begin(), files.end(), file) != files.end()) {
          reading_.refuse(reading_.place(path), path, "'" + file + "' would be read twice");
        } else if (files.size() < include_max) {
          files.push_back(file);
        }
      }
    }
    return files;
  }

  // What cannot be listed is not empty: routes would be gone, and with them their jobs.
  std::vector<std::string> list(const std::string& pattern, const std::string& path) {
    try {
      return environment_.glob(pattern);
    } catch (const std::system_error& error) {
      reading_.refuse(reading_.place(path), path,
                      "'" + pattern + "' cannot be listed: " + error.what());
      return {};
    }
  }

  void read_included(const std::string& file, IncludedFile& included) {
    const auto text = environment_.file(file);
    if (!text) {
      reading_.refuse(reading_.place("include"), "include",
                      "cannot read '" + file + "'" + why_unreadable(file));
      return;
    }
    read(file, *text, included);
  }

  void order_diagnostics() {
    const auto rank = [&](const Diagnostic& found) {
      const auto file = std::find(files_.begin(), files_.end(), found.place.file);
      return std::make_tuple(file - files_.begin(), found.place.line, found.place.column);
    };
    std::stable_sort(loaded_.diagnostics.begin(), loaded_.diagnostics.end(),
                     [&](const Diagnostic& a, const Diagnostic& b) { return rank(a) < rank(b); });
  }

  void cut_diagnostics() {
    auto& all = loaded_.diagnostics;
    if (all.size() <= diagnostics_max) return;
    const std::string rest = std::to_string(all.size() - diagnostics_max);
    all.resize(diagnostics_max);
    all.push_back({{files_.front(), 0, 0},
                   "",
                   rest + " more problems",
                   "",
                   loaded_.ok ? Severity::warning : Severity::error});
  }

  const Environment& environment_;
  Loaded loaded_;
  Reading reading_;
  std::vector<std::string> files_;
};

std::string_view line_of(std::string_view text, int number) {
  for (; number > 1; --number) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  std::string_view line = text.substr(0, text.find('\n'));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// How much of the line is meant: a quoted text, or a word.
std::size_t width_of(std::string_view rest) {
  if (rest.empty()) return 1;
  if (rest.front() == '"' || rest.front() == '\'') {
    const std::size_t close = rest.find(rest.front(), 1);
    return close == rest.npos ? rest.size() : close + 1;
  }
  std::size_t end = rest.find_first_of(" \t,]}#");
  if (end == rest.npos) end = rest.size();
  if (end > 1 && rest[end - 1] == ':') --end;
  return std::max<std::size_t>(end, 1);
}

std::string excerpt(const Place& place, std::string_view text) {
  constexpr std::size_t longest = 160;  // a longer line says nothing on a terminal
  const std::string_view line = line_of(text, place.line);
  const auto column = static_cast<std::size_t>(place.column - 1);
  if (line.empty() || column > line.size() || line.size() > longest) return "";
  const std::string number = std::to_string(place.line);
  std::string margin = "    " + std::string(number.size(), ' ') + " | ";
  for (const char c : line.substr(0, column)) margin += c == '\t' ? '\t' : ' ';
  return "\n    " + number + " | " + std::string(line) + "\n" + margin + "^" +
         std::string(width_of(line.substr(column)) - 1, '~');
}

}  // namespace

Environment Environment::process() {
  Environment environment;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  environment.file = read_file;
  environment.glob = list_files;
  return environment;
}

Environment Environment::empty() {
  return {[](const std::string&) { return std::nullopt; },
          [](const std::string&) { return std::nullopt; },
          [](const std::string&) { return std::vector<std::string>(); }};
}

void Loaded::refuse(const Place& place, const std::string& path, const std::string& message) {
  diagnostics.push_back({place, path, message, "", Severity::error});
  ok = false;
}

void Loaded::warn(const Place& place, const std::string& path, const std::string& message) {
  diagnostics.push_back({place, path, message, "", Severity::warning});
}

Loaded load_text(const std::string& file, std::string_view text, const Environment& environment) {
  return Load(environment).run(file, text);
}

Loaded load(const std::string& file, const Environment& environment) {
  const auto text = file == "-" ? read_stream(std::cin) : environment.file(file);
  if (text) return load_text(file, *text, environment);
  Loaded loaded;
  loaded.refuse({file, 0, 0}, "", "the file cannot be read" + why_unreadable(file));
  return loaded;
}

std::string why_unreadable(const std::string& path) {
  struct stat status {};
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  int error = file < 0 ? errno : 0;
  if (file >= 0 && ::fstat(file, &status) == 0 && S_ISDIR(status.st_mode)) error = EISDIR;
  if (file >= 0) ::close(file);
  return error == 0 ? "" : ": " + std::generic_category().message(error);
}

std::string format(const Diagnostic& diagnostic, const Sources& sources) {
  const Place& place = diagnostic.place;
  std::string text = place.file.empty() ? "raincheck" : place.file;
  if (place.line > 0) {
    text += ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
  }
  text += diagnostic.severity == Severity::error ? ": error: " : ": warning: ";
  if (!diagnostic.path.empty()) text += diagnostic.path + ": ";
  text += diagnostic.message;
  if (!diagnostic.hint.empty()) text += "; " + diagnostic.hint;
  const auto source = sources.find(place.file);
  if (place.line > 0 && source != sources.end()) text += excerpt(place, source->second);
  return text;
}

std::string format(const Loaded& loaded) {
  std::string text;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    text += format(diagnostic, loaded.sources) + "\n";
  }
  return text;
}

}  // namespace raincheck::config
