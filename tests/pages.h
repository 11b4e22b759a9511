// What tests of pages and figures share: is it well formed, what does its CSV say.
#pragma once
#include <cctype>
#include <set>

#include "tests/helpers.h"

namespace ef {

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// "" if every tag that opens is closed in its turn, else what is wrong. Enough of HTML for the pages made
// here: attributes hold no '>', and <style> and <script> hold no tags.
inline std::string unbalanced(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    if (end == std::string::npos) return "a tag does not end";
    if (html[at + 1] == '!' || html[end - 1] == '/') continue;
    const bool closes = html[at + 1] == '/';
    std::string name;
    for (std::size_t i = at + 1 + closes; std::isalnum(static_cast<unsigned char>(html[i])) != 0; ++i)
      name += html[i];
    if (name.empty()) return "a < is not escaped";
    if (name == "meta" || name == "link" || name == "wbr") continue;
    if (!closes) {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != name)
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

// What every page must be.
inline void check_page(const std::string& html) {
  CHECK(unbalanced(html) == "");
  for (const char* foreign : {"http:", "https:", "//cdn", "src=", "@import", "url("})
    CHECK_FALSE(contains(html, foreign));
  for (const char* broken : {"\"nan", ">nan", "Lnan", " nan", "\"inf", ">inf", " inf", "-inf", "-nan"})
    CHECK_FALSE(contains(html, broken));
  // Each id stands for one thing.
  std::set<std::string> ids;
  for (std::size_t at = html.find(" id=\""); at != std::string::npos; at = html.find(" id=\"", at + 1)) {
    const std::string id = html.substr(at + 5, html.find('"', at + 5) - at - 5);
    INFO("id " << id);
    CHECK(ids.insert(id).second);
  }
}

// "" if the text is one XML element, else what is wrong: tags in their order, attributes in quotes and none
// twice, known entities, no bare < or &.
inline std::string xml_fault(const std::string& xml) {
  std::vector<std::string> open;
  std::size_t at = 0, roots = 0;
  const auto entities_fault = [](const std::string& text) -> std::string {
    for (std::size_t i = text.find('&'); i != std::string::npos; i = text.find('&', i + 1)) {
      const std::string name = text.substr(i, text.find(';', i) - i + 1);
      if (name != "&amp;" && name != "&lt;" && name != "&gt;" && name != "&quot;") return "a bare &";
    }
    for (const char c : text)
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') return "a control character";
    return "";
  };
  while (at < xml.size()) {
    const std::size_t tag = std::min(xml.find('<', at), xml.size());
    const std::string between = xml.substr(at, tag - at);
    if (const std::string fault = entities_fault(between); !fault.empty()) return fault;
    if (open.empty() && between.find_first_not_of(" \n") != std::string::npos) return "text outside";
    if (tag == xml.size()) break;
    std::size_t i = tag + 1;
    const bool closes = xml[i] == '/';
    if (closes) ++i;
    std::string name;
    while (i < xml.size() && std::isalnum(static_cast<unsigned char>(xml[i])) != 0) name += xml[i++];
    if (name.empty()) return "a bare <";
    std::set<std::string> attributes;
    while (i < xml.size() && xml[i] == ' ') {
      std::string attribute;
      for (++i; i < xml.size() && xml[i] != '=' && xml[i] != '>' && xml[i] != ' '; ++i) attribute += xml[i];
      if (xml.compare(i, 2, "=\"") != 0) return "attribute " + attribute + " has no value";
      const std::size_t end = xml.find('"', i + 2);
      if (end == std::string::npos) return "attribute " + attribute + " does not end";
      const std::string value = xml.substr(i + 2, end - i - 2);
      if (value.find('<') != std::string::npos || !entities_fault(value).empty())
        return "value of " + attribute;
      if (!attributes.insert(attribute).second) return "two attributes " + attribute;
      i = end + 1;
    }
    const bool alone = xml.compare(i, 2, "/>") == 0;
    if (!alone && xml.compare(i, 1, ">") != 0) return "tag " + name + " does not end";
    at = i + (alone ? 2 : 1);
    if (closes) {
      if (open.empty() || open.back() != name) return "</" + name + "> out of turn";
      open.pop_back();
    } else {
      if (open.empty() && ++roots > 1) return "two roots";
      if (!alone) open.push_back(name);
    }
  }
  if (!open.empty()) return open.back() + " is not closed";
  return roots == 1 ? "" : "nothing";
}

// Rows of fields.
inline std::vector<std::vector<std::string>> parse_csv(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  bool quoted = false, begins = true;
  for (std::size_t i = 0; i < csv.size(); ++i) {
    if (begins) rows.push_back({""});
    begins = false;
    std::string& field = rows.back().back();
    if (quoted && csv[i] == '"' && i + 1 < csv.size() && csv[i + 1] == '"')
      field += csv[i++];
    else if (csv[i] == '"')
      quoted = !quoted;
    else if (!quoted && csv[i] == ',')
      rows.back().emplace_back();
    else if (!quoted && csv[i] == '\n')
      begins = true;
    else
      field += csv[i];
  }
  return rows;
}

}  // namespace ef
