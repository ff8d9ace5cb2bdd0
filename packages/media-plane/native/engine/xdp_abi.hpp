// Owns the AF_XDP and bpf(2) records and numbers this engine uses, as the kernel's ABI fixes them (linux/if_xdp.h, linux/bpf.h), so
// that a build needs no kernel header of a certain age: what the running kernel has is asked at start. Knows no leg.
#pragma once
#include <cstddef>
#include <cstdint>

namespace sallyport::xdp {

constexpr int familyXdp = 44, levelXdp = 283;
constexpr int optionOffsets = 1, optionRx = 2, optionTx = 3, optionUmem = 4, optionFill = 5, optionCompletion = 6,
              optionStatistics = 7, optionTxBudget = 9;
constexpr uint16_t bindShared = 1, bindCopy = 2, bindZeroCopy = 4, bindNeedWakeup = 8;
constexpr uint32_t ringNeedsWakeup = 1;
constexpr uint64_t pageRx = 0, pageTx = 0x80000000, pageFill = 0x100000000, pageCompletion = 0x180000000;

struct SocketName {
  uint16_t family, flags;
  uint32_t interface, queue, umemFd;
};
static_assert(sizeof(SocketName) == 16);
struct RingOffsets {
  uint64_t producer, consumer, descriptors, flags;
};
struct Offsets {
  RingOffsets rx, tx, fill, completion;
};
/** As Linux 5.4 has it; what came later (unaligned frames, TX metadata) stands behind and is left out. */
struct UmemRegistration {
  uint64_t address, length;
  uint32_t frameSize, headroom, flags, reserved;
};
static_assert(sizeof(UmemRegistration) == 32);
struct Descriptor {
  uint64_t address;
  uint32_t length, options;
};
static_assert(sizeof(Descriptor) == 16);
struct Statistics {
  uint64_t rxDropped, rxInvalid, txInvalid, rxRingFull, fillRingEmpty, txRingEmpty;
};

/** One instruction of eBPF. */
struct Instruction {
  uint8_t code;
  /** Destination in the lower, source in the upper four bits. */
  uint8_t registers;
  int16_t offset;
  int32_t immediate;
};
static_assert(sizeof(Instruction) == 8);

constexpr int commandMapCreate = 0, commandMapUpdate = 2, commandMapDelete = 3, commandProgramLoad = 5,
              commandLinkCreate = 28, commandLinkUpdate = 29;
constexpr uint32_t mapHash = 1, mapSockets = 17, programXdp = 6, attachXdp = 37;
/** Of the kernel's own hook in the driver, and of the one every device has, behind the making of an skb. */
constexpr uint32_t attachGeneric = 1 << 1, attachNative = 1 << 2;
constexpr uint32_t withoutPreallocation = 1;
constexpr uint32_t verdictPass = 2;
constexpr int32_t helperLookup = 1, helperRedirect = 51;

struct MapCreate {
  uint32_t type, keySize, valueSize, entries, flags, inner, node;
  char name[16];
};
struct MapElement {
  uint32_t map, reserved;
  uint64_t key, value, flags;
};
struct ProgramLoad {
  uint32_t type, count;
  uint64_t instructions, license;
  uint32_t logLevel, logSize;
  uint64_t log;
  uint32_t kernelVersion, flags;
  char name[16];
  uint32_t interface, attachType;
};
struct LinkCreate {
  uint32_t program, interface, attachType, flags, reserved[4];
};
struct LinkUpdate {
  uint32_t link, program, flags, oldProgram;
};

}  // namespace sallyport::xdp
