#include "base/html_page.h"

#include <fmt/format.h>

#include "base/error.h"

namespace elastify {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Of an image's own document, so that the ids of several images stay apart (RFC 3986: all but unreserved characters).
std::string percent_encoded(const std::string& bytes) {
  static const std::string kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:=,;()!* ";
  std::string out;
  for (const char c : bytes) {
    if (kPlain.find(c) != std::string::npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

constexpr char kStyle[] =
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:auto;padding:1rem}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}"
    "th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #8886}th:first-child{text-align:left}"
    "caption{text-align:left;padding:.4rem 0;font-weight:600}img{max-width:100%;background:#fff}"
    "pre{overflow-x:auto;padding:.6rem;border:1px solid #8886}";

}  // namespace

HtmlPage::HtmlPage(std::string title, std::string summary) : title_(std::move(title)), summary_(std::move(summary)) {}

void HtmlPage::section(const std::string& title) {
  ++sections_;
  contents_ += fmt::format("<li><a href=\"#s{}\">{}</a></li>\n", sections_, escaped(title));
  body_ += fmt::format("<h2 id=\"s{}\">{}</h2>\n", sections_, escaped(title));
}

void HtmlPage::paragraph(const std::string& text) { body_ += "<p>" + escaped(text) + "</p>\n"; }

void HtmlPage::preformatted(const std::string& text) { body_ += "<pre>" + escaped(text) + "</pre>\n"; }

void HtmlPage::table(const std::string& caption, const std::vector<std::string>& columns,
                     const std::vector<std::vector<std::string>>& rows) {
  body_ += "<div class=\"wide\" tabindex=\"0\"><table><caption>" + escaped(caption) + "</caption>\n<thead><tr>";
  for (const auto& column : columns) body_ += "<th scope=\"col\">" + escaped(column) + "</th>";
  body_ += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows) {
    require(row.size() == columns.size(), "a row of {} cells in a table of {} columns", row.size(), columns.size());
    body_ += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      body_ += (i == 0 ? "<th scope=\"row\">" : "<td>") + escaped(row[i]) + (i == 0 ? "</th>" : "</td>");
    body_ += "</tr>\n";
  }
  body_ += "</tbody></table></div>\n";
}

void HtmlPage::image(const fs::path& svg, const std::string& description) {
  if (!fs::exists(svg)) return;
  body_ += fmt::format("<p><img alt=\"{}\" src=\"data:image/svg+xml,{}\"></p>\n", escaped(description),
                       percent_encoded(read_file(svg)));
}

std::string HtmlPage::text() const {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>{0}</h1>\n<p>{2}</p>\n<nav><ul>\n{3}</ul></nav>\n<main>\n{4}</main>\n</body>\n</html>\n",
      escaped(title_), kStyle, escaped(summary_), contents_, body_);
}

}  // namespace elastify
