// One client's socket as cpp-httplib's server reads and writes it, with the limits that the library's own lacks: a
// whole request has a deadline, however slowly its bytes drip in, and a number of bytes; and handlers can ask whether
// the client is still there.
//
// cpp-httplib 0.11 because it is a Debian package, a header and a small library; and blocking threads suit a server of
// few clients.
#pragma once

#include <httplib.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>

namespace elrt::serve {

struct ConnectionLimits {
  std::chrono::milliseconds idle{5000};      // between two requests
  std::chrono::milliseconds request{30000};  // for the whole of one to arrive
  std::chrono::milliseconds write{10000};    // for a client that does not read
  std::size_t header_bytes = 64 << 10;
};

class Connection : public httplib::Stream {
 public:
  Connection(socket_t socket, const ConnectionLimits& limits) : socket_(socket), limits_(limits) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;  // closes it, once the client has had the time to read what was written

  // Waits for the next request; false where none comes, or `stop` is set.
  bool next_request(const std::atomic<bool>& stop);
  void allow_body(std::size_t bytes) { allowed_ += bytes; }
  bool gone() const;  // the client has closed its side, or the connection is broken

  // What is unread of this request cannot be told from the next one: the connection ends after the answer.
  void close_after() { close_after_ = true; }
  void reuse() { close_after_ = false; }
  bool closes() const { return close_after_; }

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool buffered() const { return begin_ < end_; }

  socket_t socket_;
  ConnectionLimits limits_;
  std::chrono::steady_clock::time_point deadline_{};
  std::size_t allowed_ = 0;  // bytes that may still be read of this request
  std::array<char, 4096> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // of what is read and not used
  bool close_after_ = false;
};

}  // namespace elrt::serve
