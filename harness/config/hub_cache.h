// Models and data sets by their name on the Hugging Face Hub: where the huggingface_hub package
// keeps what was downloaded, and what is there. Nothing here opens a connection; `model fetch` and
// `data fetch` download.
//
// Layout (huggingface_hub, "Understand caching"): CACHE/models--ORG--NAME/refs/REVISION (of a data
// set: CACHE/datasets--ORG--NAME) holds the commit that a branch or tag was at, snapshots/COMMIT/
// the files, links into blobs/; what is still being downloaded is blobs/*.incomplete.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

// Whether `text` has the form ORG/NAME of the hub's names: two parts of letters, digits, '-', '_'
// and '.', none at an end and neither "--" nor ".." inside, at most 96 characters, not ending in
// ".git". Such a text is no path that leads out of a folder.
bool is_hub_name(const std::string& text);

// Whether `text` can be a revision: a commit, a branch or a tag, such as main or refs/pr/1.
bool is_hub_revision(const std::string& text);

// HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else hub below HF_HOME, else huggingface/hub below
// XDG_CACHE_HOME, else ~/.cache/huggingface/hub. Absolute; need not exist.
std::filesystem::path hub_cache();

enum class HubKind { kModel, kDataSet };

// Where the cache keeps a model or data set (is_hub_name); need not exist.
std::filesystem::path hub_folder(const std::string& name, HubKind kind);

struct HubSnapshot {
  std::filesystem::path folder;  // the snapshot, else hub_folder()
  std::string commit;            // 40 hexadecimal digits; empty when it is not in the cache
};

// What the cache holds of a model or data set (is_hub_name) at a revision (is_hub_revision; empty:
// main). Its files are not looked at.
HubSnapshot find_snapshot(const std::string& name, const std::string& revision,
                          HubKind kind = HubKind::kModel);

// The files of a snapshot that match the patterns, relative, sorted; a * stands for any text
// without '/'. Empty when one of the patterns matches none or a part of a file in parts
// (x-00000-of-00002.parquet) lacks.
std::vector<std::string> cached_files(const std::filesystem::path& snapshot,
                                      const std::vector<std::string>& patterns);

// Whether a download into the model's folder of the cache was begun and not ended.
bool has_unfinished_download(const std::string& name);

}  // namespace kvbench
