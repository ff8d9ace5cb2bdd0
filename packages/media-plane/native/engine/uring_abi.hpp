// Owns the io_uring records and numbers this engine uses, as the kernel's ABI fixes them (io_uring(7), io_uring_enter(2)), so that
// a build needs no kernel header of a certain age: what the running kernel has is asked at start.
#pragma once
#include <cstdint>

namespace sallyport::uring {

struct Sqe {
  uint8_t opcode;
  uint8_t flags;
  uint16_t ioprio;
  int32_t fd;
  uint64_t addr2;
  uint64_t addr;
  uint32_t len;
  uint32_t opFlags;
  uint64_t userData;
  uint16_t group;
  uint16_t personality;
  uint16_t addrLen;
  uint16_t pad0;
  uint64_t addr3;
  uint64_t pad1;
};
static_assert(sizeof(Sqe) == 64);

struct Cqe {
  uint64_t userData;
  int32_t result;
  uint32_t flags;
};
static_assert(sizeof(Cqe) == 16);

struct SqOffsets {
  uint32_t head, tail, mask, entries, flags, dropped, array, reserved;
  uint64_t userAddress;
};
struct CqOffsets {
  uint32_t head, tail, mask, entries, overflow, cqes, flags, reserved;
  uint64_t userAddress;
};
struct Parameters {
  uint32_t sqEntries, cqEntries, flags, sqCpu, sqIdle, features, wqFd, reserved[3];
  SqOffsets sq;
  CqOffsets cq;
};
static_assert(sizeof(Parameters) == 120);

struct RegisterFiles {
  uint32_t count;
  uint32_t flags;
  uint64_t reserved;
  uint64_t data;
  uint64_t tags;
};
struct UpdateFiles {
  uint32_t offset;
  uint32_t reserved;
  uint64_t data;
};
constexpr uint8_t opRecvmsg = 10, opSend = 26, opReceive = 27;
constexpr uint8_t sqeFixedFile = 1, sqeSkipSuccess = 1 << 6;
constexpr uint32_t setupCqSize = 1 << 3, setupClamp = 1 << 4, setupSubmitAll = 1 << 7, setupSingleIssuer = 1 << 12,
                   setupDeferTaskrun = 1 << 13, setupNoSqArray = 1 << 16;
constexpr uint32_t featureSingleMmap = 1, featureNoDrop = 2, featureSkipSuccess = 1 << 11;
constexpr unsigned registerFilesUpdate = 6, registerFiles2 = 13;
constexpr uint32_t filesSparse = 1;
constexpr uint64_t offsetSq = 0, offsetSqes = 0x10000000;

}  // namespace sallyport::uring
