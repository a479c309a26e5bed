// What the machine's processor is called and how much memory it has, for lists of devices.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dunlin {

// "AMD EPYC 7763 64-Core Processor"; the architecture where the system does not say.
std::string processorName();

// What the CPU backend computes with: "AVX-512", "AVX2", or what every processor of the architecture has.
const char* vectorsInUse();

// The first "model name" of a text like /proc/cpuinfo; empty where there is none.
std::string modelNameOf(std::string_view cpuInfo);

// Installed memory; 0 where the system does not say.
uint64_t machineMemoryBytes();

}  // namespace dunlin
