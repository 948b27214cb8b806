// A page that stands alone: one HTML file, nothing fetched, readable on a phone, in the dark and by a screen reader.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"

namespace elastify {

// All texts are plain: the page escapes them.
class HtmlPage {
 public:
  HtmlPage(std::string title, std::string summary);
  void section(const std::string& title);  // and a line in the table of contents
  void paragraph(const std::string& text);
  void preformatted(const std::string& text);
  // The first column names the row, the others are aligned to the right. Rows have as many cells as there are columns.
  void table(const std::string& caption, const std::vector<std::string>& columns,
             const std::vector<std::vector<std::string>>& rows);
  // An SVG file, taken into the page; nothing where it does not exist. `description` says what is to be seen.
  void image(const fs::path& svg, const std::string& description);
  std::string text() const;

 private:
  std::string title_, summary_, contents_, body_;
  int sections_ = 0;
};

}  // namespace elastify
