#include "connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace elrt::serve {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// What poll() says of `events` within the time; 0: nothing.
short wait_for(socket_t socket, short events, milliseconds most) {
  pollfd one{socket, events, 0};
  const Clock::time_point end = Clock::now() + most;
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
    const int found = ::poll(&one, 1, static_cast<int>(std::max<milliseconds::rep>(left.count(), 0)));
    if (found > 0) return one.revents;
    if (found == 0 || errno != EINTR) return 0;
  }
}

void address(const sockaddr_storage& from, std::string& ip, int& port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    port = ntohs(v4.sin_port);
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    port = ntohs(v6.sin6_port);
  }
  ip = text.data();
}

}  // namespace

// A socket that is closed while bytes of a refused body wait in it resets the connection, and the refusal is lost. So
// the client is told that nothing more comes, and what it still sends is thrown away for a moment.
Connection::~Connection() {
  ::shutdown(socket_, SHUT_WR);
  if (close_after_) {
    constexpr milliseconds kMost{500};
    const Clock::time_point end = Clock::now() + kMost;
    while (Clock::now() < end && (wait_for(socket_, POLLIN, kMost) & POLLIN) != 0 &&
           ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT) > 0) {
    }
  }
  ::close(socket_);
}

bool Connection::next_request(const std::atomic<bool>& stop) {
  constexpr milliseconds kSlice{50};  // so that a stop is noticed
  close_after_ = false;
  for (milliseconds waited{0}; !buffered() && waited < limits_.idle; waited += kSlice) {
    if (stop) return false;
    if (wait_for(socket_, POLLIN, kSlice) == 0) continue;
    const ssize_t found = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (found <= 0) return false;
    begin_ = 0, end_ = static_cast<std::size_t>(found);
  }
  deadline_ = Clock::now() + limits_.request;
  allowed_ = limits_.header_bytes;
  return buffered();
}

bool Connection::gone() const {
  pollfd one{socket_, POLLIN | POLLRDHUP, 0};
  return ::poll(&one, 1, 0) > 0 && (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool Connection::is_readable() const {
  if (buffered()) return true;
  const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
  return left.count() > 0 && wait_for(socket_, POLLIN, left) != 0;
}

bool Connection::is_writable() const { return (wait_for(socket_, POLLOUT, limits_.write) & POLLOUT) != 0; }

ssize_t Connection::read(char* to, std::size_t size) {
  size = std::min(size, allowed_);
  if (size == 0 || !is_readable()) return -1;
  if (!buffered()) {
    const ssize_t found = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (found <= 0) return found;
    begin_ = 0, end_ = static_cast<std::size_t>(found);
  }
  size = std::min(size, end_ - begin_);
  std::memcpy(to, buffer_.data() + begin_, size);
  begin_ += size;
  allowed_ -= size;
  return static_cast<ssize_t>(size);
}

ssize_t Connection::write(const char* from, std::size_t size) {
  if (!is_writable()) return -1;
  return ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage from{};
  socklen_t bytes = sizeof from;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&from), &bytes) == 0) address(from, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage from{};
  socklen_t bytes = sizeof from;
  if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&from), &bytes) == 0) address(from, ip, port);
}

}  // namespace elrt::serve
