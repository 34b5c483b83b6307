// Where a model runs. Every build has our CUDA kernels; whether a GPU may be used is asked of the
// machine.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace kvbench {

// The device of a word of harness/config/device_word.h. auto: the first GPU when it can be used,
// else the CPU. cuda, cuda:N: throws InputError, saying what is missing: a driver, a GPU of that
// number, or LibTorch's CUDA half. That half is loaded only here, so a machine without a GPU never
// pays for it. The calling thread works on a stream of its own from then on, not on the default
// one.
c10::Device resolve_device(const std::string& word);

// What `auto` took and why, a line; "" for the words that leave no choice.
std::string device_note(const std::string& word);

// "0000:3b:00.0", of a GPU; "" of the CPU.
std::string pci_address(c10::Device device);

// "AMD EPYC ..." or "NVIDIA H100 ...", for the results file.
std::string device_name(c10::Device device);

}  // namespace kvbench
