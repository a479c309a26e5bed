// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace dunlin::cli {

class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void restart();
    void add(std::span<const std::byte> bytes);
    // 64 small hexadecimal digits, of everything since the last restart(). Ends the computation.
    std::string finish();

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

// Of a text in memory, as finish() gives it.
std::string sha256Of(std::string_view text);

}  // namespace dunlin::cli
