// A profile: what was measured on each context, and the averaged table that the lukv allocator
// reads. As an HDF5 file:
//
//   / attributes        schema_version, complete (0/1), name, config, identity (the configuration
//                       without the number of contexts), model_hash, tokenizer_hash, data_hash,
//                       plugin_hashes, git_commit, model, device, versions
//   entries             int32 [N, 3]: context, question, T of each measurement, as they were made
//   SCORER/ attributes  scorer (name and parameters in effect), sink, window
//     table             float64 [99, L, H]: prune ratios, mean over the entries
//     spread            float64 [99, L, H]: their standard deviation (0 for a single entry)
//     curves            float32 [N, 99, L, H]: prune ratios of each entry
//     hull_slopes       float32: segments of the convexified loss curves, entry by entry and head
//     hull_tokens       int32    by head
//     hull_offsets      int64 [N * L * H + 1]: where each head's segments begin
//     mean_curve        float32 [L, H, 256]: the convexified losses as a function, each entry's as
//                       shares of all its importance (lukv/mean_curve.h)
//     calibration_scores, calibration_importance
//                       float32 [L, H, 64]: what relative scores are worth (lukv/calibration.h)
//     group_scores, group_losses
//                       float32 [N, L, H, 64]: what that was learnt from
//     gap               float64 [ratios, 10]: ratio, J0 to J6, J6 of the curves and online, when
//                       it was measured
//     losses            float32: marginal losses of each entry, [L, H, T - sink - window], in
//                       discard order, only when they were asked for
//     ranked_scores     float32: the scores in that order, with the losses
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "harness/base/hdf5.h"
#include "policies/lukv/calibration.h"
#include "policies/lukv/convex_minorant.h"

namespace kvbench {

// One question about one context.
struct ProfileEntry {
  int32_t context = 0, question = 0, n_tokens = 0;
};

// What one scorer's ranking makes of one entry.
struct ScorerCurve {
  std::vector<float> prune_ratios;               // [99, L, H]
  std::vector<std::vector<lukv::Segment>> hull;  // [L * H]
  std::vector<lukv::RankGroups> groups;          // [L * H]
  std::vector<std::vector<float>> losses;        // [L * H][E] marginal, in discard order
  std::vector<std::vector<float>> scores;        // [L * H][E] in that order; with the losses
};

// What budgets lose at a ratio, a row of the gap report; policies.md 4.7. nan = not computed.
struct GapLosses {
  double ratio = 0;
  double hull = 0, oracle = 0, oracle_uniform = 0, uniform = 0, greedy = 0, exact = 0;  // J0 to J5
  double profile = 0;             // J6: the table
  double curves = 0, online = 0;  // J6 of the allocators lukv_curves and lukv_online
};

struct ScorerProfile {
  std::string name, scorer;  // the group; the scorer's name and parameters in effect
  int64_t sink = 0, window = 0;
  std::vector<ScorerCurve> curves;  // [N]
  std::vector<GapLosses> gap;       // of each ratio; empty when not measured
};

struct ProfileData {
  std::map<std::string, std::string> attributes;
  bool complete = false;
  bool has_losses = false;
  int64_t n_layers = 0, n_kv_heads = 0;
  std::vector<ProfileEntry> entries;  // [N]
  std::vector<ScorerProfile> scorers;
};

// Writes the whole file beside its name, brings it to the disk and renames it: after a kill at any
// moment there is the old one or the new one. There must be an entry.
void write_profile(const std::filesystem::path& file, const ProfileData& data);
// The same without what is learnt (table to calibration_importance): a part of a profile that is
// still being measured. read_profile() reads it, allocators do not.
void write_measurements(const std::filesystem::path& file, const ProfileData& data);

// Looks like one: an HDF5 file with `entries`. False for what cannot be opened.
bool is_profile(const std::filesystem::path& file);

// Throws InputError when the file is not a profile of this schema, or when its shapes, offsets and
// values are not those of one: nothing about it is trusted.
ProfileData read_profile(const std::filesystem::path& file);

}  // namespace kvbench
