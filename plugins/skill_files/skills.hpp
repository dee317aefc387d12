#pragma once

// The skills, most of them as functions from arguments to the text that the model will see. What
// cannot be done is a Problem, with a text that helps to do better.
#include "parley/plugin.hpp"
#include "tree.hpp"

#include <string>

namespace files {

std::string read_file(Tree const& tree, parley::Json const& arguments);
std::string list_files(Tree const& tree, parley::Json const& arguments);
std::string search_files(Tree const& tree, parley::Json const& arguments);

// `expect` is what the approval was bound to: for the path as it stands in the arguments, the hex
// BLAKE2b-256 of the content, or "absent". A file that has changed since is not touched.
std::string write_file(Tree const& tree, parley::Json const& arguments, parley::Json const& expect);
std::string edit_file(Tree const& tree, parley::Json const& arguments, parley::Json const& expect);
// Takes the call over, unless it throws.
void send_file(parley::Host& host, parley::Call& call, Tree const& tree,
               parley::Json const& arguments, parley::Json const& expect);

// BLAKE2b-256, in hex.
std::string hash_of(std::string_view content);

}  // namespace files
