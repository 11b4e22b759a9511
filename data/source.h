// Where tokens come from. A source reads or makes a corpus: text files, the built-in language, or any
// generator of token sequences, with what is known of them (documents, floors, which targets are scored).
// Each is a file of data/sources/, with its options beside it.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "data/corpus.h"
#include "engine/option.h"
#include "engine/registry.h"

namespace ef {

struct DataSource {
  virtual ~DataSource() = default;
  static constexpr const char* kind = "data source";
  using Factory = std::function<std::unique_ptr<DataSource>(const OptionValues&)>;

  // The same corpus each time, whatever the seed of a run. path: what --data says, for those that read files.
  // Error if there is nothing to be read, or to learn from.
  virtual Corpus load(const std::string& path) const = 0;
  // Why load() cannot find its text: "there is no wiki/train.txt"; "" if it can, or needs none.
  virtual std::string missing(const std::string& /*path*/) const { return ""; }
  // Whether it is made of documents that stand alone: nothing before them is seen, and a model writes one
  // after the other.
  virtual bool documents() const { return false; }
  // What is to be said of what a trained model wrote; "" for nothing.
  virtual std::string judge(const std::string& /*written*/) const { return ""; }
};

// The sibling that --data names; of anything else, which is a path, "text".
std::string source_name(const std::string& data);
// That one. Error if an option cannot be.
std::unique_ptr<DataSource> data_source(const std::string& data, const OptionValues& options);

}  // namespace ef
