// What a number is that a probe reads, or that the loop measures: what it is called, in what unit, and how it
// is to be shown. It is declared where the number is made. Live line, report, comparison, experiments and
// alarms read it there, and know no quantity by name.
#pragma once
#include <optional>
#include <string>

namespace ef {

struct Quantity {
  enum class Better { neither, higher, lower };
  enum class Joined { mean, largest };
  enum class Scale { automatic, linear, logarithmic };

  // Rings when the value of a layer is beyond `on`, until it is on the other side of `off`: two thresholds,
  // so that it does not flicker. Where `on` is the smaller one it rings below, else above.
  struct Alarm {
    std::string name = "";  // "entropy collapse"
    double on = 0, off = 0;
    std::string why = "";  // why there, and whose number it is
    bool below() const { return on < off; }
  };

  std::string key = "";      // in metrics.jsonl: "normalised"
  std::string title = "";    // "Attention entropy"; "": its full name, PROBE.KEY
  std::string unit = "";     // of its differences, too: "nats", "share", "tr W"
  std::string meaning = "";  // of its values: "1 is uniform, 0 one-hot"
  std::string row = "";      // in tables of a terminal, which have no signs beyond ASCII; "": title and unit
  std::string live = "";     // before its number on the live line, a few letters; "": it is not there
  int order = 100;           // what has less is shown first
  bool detail = false;       // folded away in reports, and not in comparisons
  Better better = Better::neither;
  // Of several heads or windows: their mean, or the largest of theirs, which grows with the text that is
  // read.
  Joined joined = Joined::mean;
  // Of an axis. automatic: logarithmic where numbers span decades. A linear one reaches from `low` to `high`
  // at least; nothing: as far as the numbers do.
  Scale scale = Scale::automatic;
  std::optional<double> low = 0, high = {};
  std::optional<Alarm> alarm = {};
};

// How an array is drawn that a probe reads. It is declared where the array is made, as a quantity is.
struct Picture {
  enum class Kind {
    line,  // [layer, head, N] or [N]: a map of place and step for each head; experiments draw the last as
           // lines
    eigenvalues,  // [layer, head, N, 2]: real and imaginary parts, in the complex plane
    pattern,      // [layer, head, T, T]: causal attention
  };
  std::string key = "";  // of the array: "profile"
  Kind kind = Kind::line;
  std::string title = "";  // "Where attention goes"; "": its full name, PROBE.KEY
  std::string unit = "";   // of its numbers: "share of attention"
  std::string axis = "";   // of a line's N places, which lie evenly between 0 and 1: "position"
  std::optional<double> low = {}, high = {};  // of a line's scale; else the least and the greatest
  std::string note = "";                      // a sentence or two
  int order = 100;                            // what has less is drawn first
};

// "entropy: 1 is uniform, 0 one-hot"
std::string axis_text(const Quantity& quantity);
// "attention entropy, normalised"
std::string row_text(const Quantity& quantity);

}  // namespace ef
