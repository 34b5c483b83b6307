#include "harness/base/hash.h"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <memory>
#include <vector>

#include "harness/base/error.h"

namespace kvbench {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    KVB_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
              "SHA-256 is not available in libcrypto");
  }

  void update(const void* data, size_t size) {
    KVB_CHECK(EVP_DigestUpdate(context_.get(), data, size) == 1, "SHA-256 update failed");
  }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    KVB_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1, "SHA-256 failed");
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  Sha256 sha;
  sha.update(bytes.data(), bytes.size());
  return sha.hex();
}

std::string short_hash(std::string_view bytes) { return sha256_hex(bytes).substr(0, 16); }

std::string sha256_file(const std::filesystem::path& file,
                        const std::function<void(int64_t bytes)>& on_read) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw_input_error("{}: cannot be read", file.string());
  Sha256 sha;
  std::vector<char> block(1 << 20);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    sha.update(block.data(), static_cast<size_t>(in.gcount()));
    if (on_read) on_read(in.gcount());
  }
  if (in.bad()) throw_input_error("{}: cannot be read", file.string());
  return sha.hex();
}

}  // namespace kvbench
