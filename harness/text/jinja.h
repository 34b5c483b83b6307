// A chat template in one canonical spelling, so that templates of a family can be recognised by
// what they say and not by how they are laid out. Nothing is executed.
#pragma once

#include <string>
#include <string_view>

namespace kvbench::text {

// Characters that enclose a string literal in the canonical text.
inline constexpr char kLiteralBegin = '\x02';
inline constexpr char kLiteralEnd = '\x03';

// A literal as it stands in the canonical text.
std::string jinja_literal(std::string_view text);

// The template with comments and layout removed, as Jinja reads it with trim_blocks and
// lstrip_blocks (how transformers sets it up):
//   tags         {%if add_generation_prompt%}, {{bos_token}}: blanks only between words
//   strings      unescaped, between kLiteralBegin and kLiteralEnd
//   neighbours   {{a}}{{b}} becomes {{a+b}}, and 'x'+'y' one literal
//   attributes   message['role'] becomes message.role
// Throws InputError for what it cannot read (raw blocks, + modifiers, rare string escapes) and for
// text outside of tags, which the templates of the supported families do not have.
std::string canonical_jinja(std::string_view source);

}  // namespace kvbench::text
