#include "config/keys.hpp"

#include "config/describe.hpp"

namespace raincheck::config {
namespace {

// The visitor that notes the keys of one map and of those within it.
class Keys {
 public:
  Keys(std::vector<std::string>& paths, std::string prefix)
      : paths_(paths), prefix_(std::move(prefix)) {}

  template <class T, class K>
  void shorthand(T&, const K&) {}
  void toggle(bool&) {}
  template <class T, class K>
  void field(const char* key, T&, const K&, const char*, Use = Use::optional) {
    paths_.push_back(prefix_ + key);
  }
  template <class T, class K>
  void list(const char* key, T&, const K&, const char*, Use = Use::optional) {
    paths_.push_back(prefix_ + key);
  }
  template <class T, class K>
  void entries(const char* key,
               std::vector<Named<T>>&,
               const NameRule&,
               const K&,
               const char*,
               Use = Use::optional) {
    paths_.push_back(prefix_ + key);
  }
  template <class T>
  void section(const char* key, T& target, const char*, Use = Use::optional) {
    Keys inner = below(key, ".");
    describe(inner, target);
  }
  template <class F>
  void group(const char* key, const char*, const F& describe_group) {
    Keys inner = below(key, ".");
    describe_group(inner);
  }
  template <class T>
  void items(const char* key, std::vector<T>&, T start, const char*, Use) {
    Keys inner = below(key, "[].");
    describe(inner, start);
  }
  template <class T>
  void named(const char* key, std::vector<T>&, T start, const NameRule&, const char*) {
    Keys inner = below(key, ".*.");
    describe(inner, start);
  }
  template <class T>
  void defaults(const char* key, T&, const char*) {
    paths_.push_back(prefix_ + key);
  }
  template <class T>
  void any(const char* key, T&, const char*, AnyShape = AnyShape::value) {
    paths_.push_back(prefix_ + key);
  }
  void unbuilt(const char*) {}

 private:
  Keys below(const char* key, const char* joint) {
    paths_.push_back(prefix_ + key);
    return Keys(paths_, prefix_ + key + joint);
  }

  std::vector<std::string>& paths_;
  std::string prefix_;
};

std::vector<std::string> collect() {
  std::vector<std::string> paths;
  Config config;
  MainFile file{config, {}, {}};
  Keys keys(paths, "");
  describe(keys, file);
  return paths;
}

}  // namespace

const std::vector<std::string>& known_paths() {
  static const std::vector<std::string> paths = collect();
  return paths;
}

std::vector<std::string> owners_of(std::string_view key) {
  std::vector<std::string> owners;
  for (const std::string& path : known_paths()) {
    const std::size_t dot = path.rfind('.');
    if (std::string_view(path).substr(dot + 1) != key) continue;  // npos + 1 is 0
    owners.push_back(dot == path.npos ? "the top level of the main file"
                                      : "'" + path.substr(0, dot) + "'");
  }
  return owners;
}

}  // namespace raincheck::config
