// Every typed opcode of arithmetic that the engine knows, on random operands, against a second
// definition of it (definitions.h).
#include <bit>
#include <random>

#include "kernels/common/test_device.h"
#include "kernels/ptx/definitions.h"
#include "kernels/ptx/launch.h"

namespace kvbench::ptx {
namespace {

constexpr size_t kOperands = 2048;

std::vector<uint64_t> operands() {
  std::mt19937_64 random(7);
  std::vector<uint64_t> x(4 * kOperands);
  constexpr uint64_t kSpecial[] = {0,
                                   1,
                                   2,
                                   3,
                                   31,
                                   32,
                                   33,
                                   63,
                                   64,
                                   0x7fff,
                                   0x8000,
                                   0xffff,
                                   0x3c00,
                                   0x7c00,
                                   0x7e00,
                                   0x3f80,
                                   0x7f80,
                                   0xff80,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x3f800000,
                                   0xbf800000,
                                   0x7f800000,
                                   0xff800000,
                                   0x7fc00000,
                                   0x00800000,
                                   0x00000001,
                                   0x4b000001,
                                   0x4f000000,
                                   0x3f000000,
                                   0x3fc00000,
                                   0x40200000,
                                   0x7fffffffffffffff,
                                   0x8000000000000000,
                                   0xffffffffffffffff,
                                   0x3ff0000000000000,
                                   0x7ff0000000000000,
                                   0xfff0000000000000,
                                   0x7ff8000000000000,
                                   0x3fe0000000000000,
                                   0x4330000000000001,
                                   0x43e0000000000000};
  for (auto& bits : x) {
    bits = random();
    switch (random() % 4) {
      case 0:
        bits = kSpecial[random() % std::size(kSpecial)];
        break;
      case 1:  // floats of like sizes: 32 bits below, 64 above
        bits = (bits & 0x800fffffff807fff) | 0x3ff0000000000000 | 0x3f000000 |
               (random() % 64) << 52 | (random() % 4) << 23;
        break;
      case 2:
        bits %= 80;
        break;
      default:
        break;
    }
  }
  return x;
}

// A kernel that runs the opcode on operands of the widths, results first.
std::string kernel(const std::string& name, const std::string& opcode, const std::string& widths) {
  std::string text = ".visible .entry " + name + R"((.param .u64 in, .param .u64 out)
{
  .reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %w<8>; .reg .b64 %d<8>; .reg .b64 %x<8>; .reg .b32 %n<4>;
  mov.u32 %n0, %tid.x;  mov.u32 %n1, %ctaid.x;  mov.u32 %n2, %ntid.x;
  mad.lo.s32 %n0, %n1, %n2, %n0;
  mul.wide.u32 %x0, %n0, 32;
  ld.param.u64 %x1, [in];
  add.s64 %x1, %x1, %x0;
  ld.param.u64 %x2, [out];
  mul.wide.u32 %x0, %n0, 8;
  add.s64 %x2, %x2, %x0;
)";
  std::string call = "  " + opcode + " ";
  for (size_t i = 0; i < widths.size(); ++i) {
    const std::string n = std::to_string(i), reg = std::string("%") + widths[i] + n;
    call += (i == 0 ? "" : ", ") + reg;
    if (i == 0) continue;
    text += "  ld.global.u64 %x3, [%x1+" + std::to_string(8 * (i - 1)) + "];\n";
    text += widths[i] == 'p'   ? "  and.b64 %x3, %x3, 1;\n  setp.ne.s64 " + reg + ", %x3, 0;\n"
            : widths[i] == 'd' ? "  mov.b64 " + reg + ", %x3;\n"
                               : "  cvt." + std::string(widths[i] == 'h' ? "u16" : "u32") +
                                     ".u64 " + reg + ", %x3;\n";
  }
  text += call + ";\n";
  text += widths[0] == 'p'   ? "  selp.b64 %x4, 1, 0, %p0;\n"
          : widths[0] == 'd' ? "  mov.b64 %x4, %d0;\n"
                             : std::string("  cvt.u64.") + (widths[0] == 'h' ? "u16" : "u32") +
                                   " %x4, %" + widths[0] + "0;\n";
  return text + "  st.global.u64 [%x2], %x4;\n  ret;\n}\n";
}

struct Case {
  std::string opcode, widths;
};

char register_width(const std::string& type) {
  const uint32_t bytes = type_bytes(type);
  return bytes <= 2 ? 'h' : bytes == 4 ? 'w' : 'd';
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& [opcode, operation] : operations()) cases.push_back({opcode, operation.widths});
  const std::vector<std::string> types = {"u8",  "s8",  "u16", "s16",  "u32", "s32",
                                          "u64", "s64", "f16", "bf16", "f32", "f64"};
  for (const char* mode : {"", ".rn", ".rz", ".rm", ".rp", ".rni", ".rzi", ".rmi", ".rpi"}) {
    for (const char* saturate : {"", ".sat"}) {
      for (const auto& to : types) {
        for (const auto& from : types) {
          const std::string opcode = std::string("cvt") + mode + saturate + "." + to + "." + from;
          Instruction i;
          try {
            decode_conversion(opcode, i);
          } catch (const PtxError&) {
            continue;
          }
          cases.push_back({opcode, {register_width(to), register_width(from)}});
        }
      }
      if (*saturate == 0) {
        for (const char* to : {"f16x2", "bf16x2"}) {
          const std::string opcode = std::string("cvt") + mode + "." + to + ".f32";
          if (std::string_view(mode) == ".rn" || std::string_view(mode) == ".rz") {
            cases.push_back({opcode, "www"});
          }
        }
      }
    }
  }
  return cases;
}

TEST(Semantics, OfEveryTypedOpcode) {
  const auto cases = all_cases();
  std::string text = ".version 9.0\n.target sm_80\n.address_size 64\n";
  for (size_t n = 0; n < cases.size(); ++n) {
    text += kernel("k" + std::to_string(n), cases[n].opcode, cases[n].widths);
  }
  const int module = Engine::get().add_module(text);
  const auto inputs = operands();
  TestArray<uint64_t> in(inputs);
  for (size_t n = 0; n < cases.size(); ++n) {
    const std::string& opcode = cases[n].opcode;
    TestArray<uint64_t> out(kOperands);
    uint64_t from = reinterpret_cast<uint64_t>(in.data());
    uint64_t to = reinterpret_cast<uint64_t>(out.data());
    void* arguments[] = {&from, &to};
    ASSERT_EQ(Engine::get().launch(module, "k" + std::to_string(n), {kOperands / 128, 1, 1},
                                   {128, 1, 1}, 0, 48 * 1024, arguments),
              LaunchResult::kOk)
        << opcode;
    const auto got = out.read();
    int wrong = 0;
    for (size_t i = 0; i < kOperands && wrong < 3; ++i) {
      const uint64_t x[4] = {inputs[4 * i], inputs[4 * i + 1], inputs[4 * i + 2],
                             inputs[4 * i + 3]};
      const Expected want = expected(opcode, x);
      if (alike(opcode, got[i], want)) continue;
      ++wrong;
      ADD_FAILURE() << opcode << std::hex << " of " << x[0] << ", " << x[1] << ", " << x[2] << ", "
                    << x[3] << ": " << got[i] << ", expected " << want.bits;
    }
  }
  EXPECT_GT(cases.size(), 600U);
}

// Narrow loads extend by their type, whatever the register; stores keep the low bits.
TEST(Semantics, OfLoadsAndStores) {
  struct Move {
    std::string type, width;
  };
  std::vector<Move> moves;
  for (const char* type : {"u8", "s8", "b8", "u16", "s16", "b16", "u32", "s32", "b32", "f32", "u64",
                           "s64", "b64", "f64"}) {
    for (const char* width : {"h", "w", "d"}) {
      if (type_bytes(type) <= type_bytes(*width == 'h' ? "b16" : *width == 'w' ? "b32" : "b64")) {
        moves.push_back({type, width});
      }
    }
  }
  std::string text = ".version 9.0\n.target sm_80\n.address_size 64\n";
  for (size_t n = 0; n < moves.size(); ++n) {
    const auto& [type, width] = moves[n];
    const std::string wide =
        width == "d"
            ? "mov.b64 %d1, %d0;"
            : std::string("cvt.u64.") + (width == "h" ? "u16" : "u32") + " %d1, %" + width + "0;";
    text += ".visible .entry m" + std::to_string(n) + R"((.param .u64 in, .param .u64 out)
{
  .reg .b16 %h<2>; .reg .b32 %w<4>; .reg .b64 %d<4>;
  ld.param.u64 %d2, [in];
  ld.param.u64 %d3, [out];
)" + "  ld.global." +
            type + " %" + width + "0, [%d2];\n  " + wide +
            "\n  st.global.u64 [%d3], %d1;\n  st.global." + type + " [%d3+8], %" + width +
            "0;\n  ret;\n}\n";
  }
  const int module = Engine::get().add_module(text);
  constexpr uint64_t kValue = 0x9182a3b4c5d6e7f8;
  TestArray in(std::vector<uint64_t>{kValue});
  for (size_t n = 0; n < moves.size(); ++n) {
    const auto& [type, width] = moves[n];
    TestArray out(std::vector<uint64_t>{0, 0});
    uint64_t from = reinterpret_cast<uint64_t>(in.data());
    uint64_t to = reinterpret_cast<uint64_t>(out.data());
    void* arguments[] = {&from, &to};
    ASSERT_EQ(Engine::get().launch(module, "m" + std::to_string(n), {1, 1, 1}, {1, 1, 1}, 0,
                                   48 * 1024, arguments),
              LaunchResult::kOk);
    const int bits = 8 * static_cast<int>(type_bytes(type));
    const int register_bits = width == "h" ? 16 : width == "w" ? 32 : 64;
    const Int value = integer(kValue, bits, type[0] == 's');
    const auto got = out.read();
    EXPECT_EQ(got[0], low_bits(static_cast<uint64_t>(value), register_bits))
        << type << ' ' << width;
    EXPECT_EQ(got[1], low_bits(kValue, bits)) << type << ' ' << width;
  }
}

}  // namespace
}  // namespace kvbench::ptx
